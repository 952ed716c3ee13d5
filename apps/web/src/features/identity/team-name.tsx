"use client";

import { useQuery } from "@tanstack/react-query";

import { teamChoicesQuery } from "@/data/teams/queries";

import { useCan } from "./session";

/** A team by its name where one may know it, by its id otherwise, also when it was deleted. */
export function TeamName({ id }: { id: string }) {
  const teams = useQuery({ ...teamChoicesQuery, enabled: useCan("teams:read") });
  const name = teams.data?.find((team) => team.id === id)?.name;
  return name ? <span title={id}>{name}</span> : <span className="break-all">{id}</span>;
}
