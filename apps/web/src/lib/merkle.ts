/** The proof that a record is in the audit log (RFC 9162, section 2.1.3), checked here and not by the server that gives it. */

export interface InclusionProof {
  /** Exactly the text that was hashed. */
  canonical: string;
  leaf: number;
  size: number;
  /** In base64. */
  path: readonly string[];
  root: string;
}

/** True or false when it could be checked; null where the browser has no hash function (plain http on another host). */
export async function checkInclusion(proof: InclusionProof): Promise<boolean | null> {
  const subtle = globalThis.crypto?.subtle as SubtleCrypto | undefined;
  if (!subtle) return null;
  const { leaf, size } = proof;
  if (!Number.isSafeInteger(leaf) || !Number.isSafeInteger(size) || leaf < 0 || leaf >= size) return false;
  const hash = async (prefix: number, ...parts: Uint8Array[]) => {
    const bytes = new Uint8Array(1 + parts.reduce((sum, part) => sum + part.length, 0));
    bytes[0] = prefix;
    let at = 1;
    for (const part of parts) {
      bytes.set(part, at);
      at += part.length;
    }
    return new Uint8Array(await subtle.digest("SHA-256", bytes));
  };
  let root = await hash(0, new TextEncoder().encode(proof.canonical));
  let place = leaf;
  let last = size - 1;
  // Sizes may pass 32 bits, so there are no bit operations here.
  const halve = () => {
    place = Math.floor(place / 2);
    last = Math.floor(last / 2);
  };
  for (const text of proof.path) {
    const sibling = fromBase64(text);
    if (last === 0 || sibling?.length !== 32) return false;
    if (place % 2 === 1 || place === last) {
      root = await hash(1, sibling, root);
      while (place % 2 === 0 && place !== 0) halve();
    } else {
      root = await hash(1, root, sibling);
    }
    halve();
  }
  const expected = fromBase64(proof.root);
  return last === 0 && expected?.length === 32 && expected.every((byte, index) => byte === root[index]);
}

/** The size and root of a signed note, as it says them; whether the signature is right is not looked at here. */
export function readCheckpoint(note: string): { origin: string; size: number; root: string } | null {
  const [origin, size, root] = note.split("\n");
  if (!origin || !root || !size || !/^\d{1,15}$/.test(size)) return null;
  return { origin, size: Number(size), root };
}

function fromBase64(text: string): Uint8Array | null {
  try {
    return Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  } catch {
    return null;
  }
}
