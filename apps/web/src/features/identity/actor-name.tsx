"use client";

import type { Actor } from "@plasma/client/types";
import { useInfiniteQuery } from "@tanstack/react-query";

import { apiKeysQuery } from "@/data/api-keys/queries";
import { applicationsQuery } from "@/data/applications/queries";
import { usersQuery } from "@/data/users/queries";

import { useCan, useMe } from "./session";

/** Who did something: by name where one may know it, by id otherwise. */
export function ActorName({ actor }: { actor: Actor }) {
  const me = useMe();
  const self = actor.kind !== "system" && actor.id === me.actor.id;
  const users = useInfiniteQuery({ ...usersQuery, enabled: useCan("users:read") && actor.kind === "user" && !self });
  const keys = useInfiniteQuery({ ...apiKeysQuery, enabled: useCan("api_keys:read") && actor.kind === "api_key" && !self });
  const applications = useInfiniteQuery({ ...applicationsQuery, enabled: useCan("applications:read") && actor.kind === "application" && !self });
  if (actor.kind === "system") return <span title={actor.reason}>Plasma itself</span>;
  if (self) return "you";
  const known = { user: users.data, api_key: keys.data, application: applications.data }[actor.kind];
  const name = known?.find((candidate) => candidate.id === actor.id)?.name;
  const kind = { user: "user", api_key: "API key", application: "application" }[actor.kind];
  return name ? <span title={actor.id}>{actor.kind === "user" ? name : `${kind} “${name}”`}</span> : <span className="break-all">{kind} {actor.id}</span>;
}
