import { createHash } from "node:crypto";
import { describe, expect, it } from "vitest";

import { checkInclusion, readCheckpoint } from "./merkle";

const sha256 = (...parts: Uint8Array[]) => createHash("sha256").update(Buffer.concat(parts)).digest();
const leafHash = (text: string) => sha256(Uint8Array.of(0), Buffer.from(text));
const nodeHash = (left: Buffer, right: Buffer) => sha256(Uint8Array.of(1), left, right);

/** The definition itself, by recursion. */
function treeHash(leaves: Buffer[]): Buffer {
  const [first] = leaves;
  if (leaves.length === 1 && first) return first;
  let left = 1;
  while (left * 2 < leaves.length) left *= 2;
  return nodeHash(treeHash(leaves.slice(0, left)), treeHash(leaves.slice(left)));
}

function path(leaf: number, leaves: Buffer[]): Buffer[] {
  if (leaves.length === 1) return [];
  let left = 1;
  while (left * 2 < leaves.length) left *= 2;
  return leaf < left
    ? [...path(leaf, leaves.slice(0, left)), treeHash(leaves.slice(left))]
    : [...path(leaf - left, leaves.slice(left)), treeHash(leaves.slice(0, left))];
}

describe("a proof of inclusion", () => {
  it("is right for every record of every small tree, and for no other", async () => {
    for (const size of [1, 2, 3, 4, 5, 7, 8, 9, 17]) {
      const texts = Array.from({ length: size }, (_, index) => `{"leaf":${index}}`);
      const leaves = texts.map(leafHash);
      const root = treeHash(leaves).toString("base64");
      for (const [leaf, canonical] of texts.entries()) {
        const proof = { canonical, leaf, size, path: path(leaf, leaves).map((hash) => hash.toString("base64")), root };
        expect(await checkInclusion(proof)).toBe(true);
        expect(await checkInclusion({ ...proof, canonical: `${canonical} ` })).toBe(false);
        expect(await checkInclusion({ ...proof, path: [...proof.path, root] })).toBe(false);
        if (size > 1) {
          expect(await checkInclusion({ ...proof, leaf: (leaf + 1) % size })).toBe(false);
          expect(await checkInclusion({ ...proof, path: proof.path.slice(1) })).toBe(false);
        }
      }
    }
  });

  it("is wrong, and no error, when it is nonsense", async () => {
    const nonsense = { canonical: "{}", leaf: 0, size: 2, path: ["%"], root: "%" };
    expect(await checkInclusion(nonsense)).toBe(false);
    expect(await checkInclusion({ ...nonsense, leaf: 5 })).toBe(false);
    expect(await checkInclusion({ ...nonsense, leaf: -1 })).toBe(false);
  });
});

describe("a checkpoint", () => {
  it("says the log, the size and the root", () => {
    const note = "plasma-1/audit/ten_1\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n— plasma-1/audit/ten_1 Az3g\n";
    expect(readCheckpoint(note)).toEqual({ origin: "plasma-1/audit/ten_1", size: 20852163, root: "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=" });
    expect(readCheckpoint("a\nb\nc\n")).toBeNull();
    expect(readCheckpoint("")).toBeNull();
  });
});
