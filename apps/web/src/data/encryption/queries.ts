import { unwrap } from "@plasma/client/client";
import { queryOptions } from "@tanstack/react-query";

import { api } from "@/data/api";

import { encryptionKeys } from "./keys";

/** How far a rotation is comes without an event: while one runs the page looks again. */
const LOOK_AGAIN_MS = 2_000;

const runs = (rotation: { state: string } | undefined) => rotation?.state === "resealing" || rotation?.state === "destroying";

/** The keys that seal this workspace's secrets. */
export const encryptionQuery = queryOptions({
  queryKey: encryptionKeys.workspace,
  queryFn: ({ signal }) => unwrap(api.GET("/api/v1/encryption", { signal })),
  refetchInterval: (query) => (runs(query.state.data?.rotations[0]) ? LOOK_AGAIN_MS : false),
});

/** The master keys, for whoever looks after the installation. */
export const installationEncryptionQuery = queryOptions({
  queryKey: encryptionKeys.installation,
  queryFn: ({ signal }) => unwrap(api.GET("/api/v1/installation/encryption", { signal })),
  refetchInterval: (query) => {
    const status = query.state.data;
    const moving = status !== undefined && (status.master_keys.some((key) => !key.current && key.data_keys > 0) || runs(status.own.rotations[0]));
    return moving ? LOOK_AGAIN_MS : false;
  },
});
