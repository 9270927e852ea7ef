import { claimAt, namesOf } from '../claim-path.ts';
import type { ClaimPath } from '../config/values.ts';
import { isPlainText } from '../plain-text.ts';

type Claims = Readonly<Record<string, unknown>>;

/** Groups that one claim may hold. */
const maxInClaim = 1000;
/** Longest group in characters: names of directories (a DN) are long. */
export const maxGroupLength = 1024;

/** What claims say of groups. */
export interface ClaimGroups {
  /** Those that could be read, without repeats. */
  readonly groups: readonly string[];
  /** Which claim could not be read, and why; undefined: all could. */
  readonly problem: string | undefined;
  /** The claims say that there are more groups, which must be asked for elsewhere. */
  readonly overage: boolean;
}

export const overageProblem = 'the claims say that there are more groups than they hold (overage)';

/**
 * Reads every claim that holds groups. A claim that is missing holds none; one of another shape than a string or a list of
 * strings is a problem: a rule that denies by group must not be passed by a claim that we failed to read.
 */
export function readClaimGroups(claims: Claims, paths: readonly ClaimPath[]): ClaimGroups {
  const groups: string[] = [];
  let problem: string | undefined;
  for (const path of paths) {
    const value = claimAt(claims, path);
    if (value === undefined && !isCutShort(claims, path)) continue;
    const listed = typeof value === 'string' ? [value] : value;
    if (!Array.isArray(listed)) problem ??= `${nameOf(path)} is not a string or a list of strings`;
    else if (listed.length > maxInClaim) problem ??= `${nameOf(path)} holds more than ${maxInClaim} groups`;
    else if (!listed.every((group) => isPlainText(group, maxGroupLength)))
      problem ??= `${nameOf(path)} holds what is not a short plain string`;
    else groups.push(...(listed as string[]));
  }
  return { groups: [...new Set(groups)], problem, overage: saysThereAreMore(claims, paths) };
}

const serviceAccount = /^system:serviceaccount:([a-z0-9-]{1,63}):[a-z0-9.-]{1,253}$/;

/**
 * Kubernetes puts no groups into tokens; its API server makes these two of the name
 * (https://kubernetes.io/docs/reference/access-authn-authz/service-accounts-admin/).
 */
export function serviceAccountGroups(claims: Claims): readonly string[] {
  const { sub } = claims;
  const namespace = typeof sub === 'string' ? serviceAccount.exec(sub)?.[1] : undefined;
  if (namespace === undefined || Object.hasOwn(claims, 'groups')) return [];
  return ['system:serviceaccounts', `system:serviceaccounts:${namespace}`];
}

/** Whether a path ends at what is not an object, so that what it should lead to cannot be known to be absent. */
function isCutShort(claims: Claims, path: ClaimPath): boolean {
  let value: unknown = claims;
  for (const name of namesOf(claims, path)) {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return true;
    if (!Object.hasOwn(value, name)) return false;
    value = (value as Claims)[name];
  }
  return false;
}

/**
 * Entra ID leaves groups out of a token that would get too long (more than 200), and says so in `_claim_names` (OpenID
 * Connect Core §5.6.2) or, where even that is too long, `hasgroups`. Groups may be emitted under another claim's name
 * (`roles`), so that both count whatever claims are read.
 */
function saysThereAreMore(claims: Claims, paths: readonly ClaimPath[]): boolean {
  if (Object.hasOwn(claims, 'hasgroups') && claims['hasgroups'] !== false) return true;
  if (!Object.hasOwn(claims, '_claim_names')) return false;
  const elsewhere = claims['_claim_names'];
  if (typeof elsewhere !== 'object' || elsewhere === null || Array.isArray(elsewhere)) return true;
  const ours = ['groups', ...paths.flatMap((path) => namesOf(claims, path)[0] ?? [])];
  return ours.some((name) => Object.hasOwn(elsewhere, name));
}

const nameOf = (path: ClaimPath): string => `the claim ${typeof path === 'string' ? path : path.join(' > ')}`;
