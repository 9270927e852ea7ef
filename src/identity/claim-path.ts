import type { ClaimPath } from './config/values.ts';

type Claims = Readonly<Record<string, unknown>>;

/** The names that a path leads through. A claim that is called like the whole path comes before what its dots mean. */
export function namesOf(claims: Claims, path: ClaimPath): readonly string[] {
  if (typeof path !== 'string') return path;
  return Object.hasOwn(claims, path) ? [path] : path.split('.');
}

/** Follows a path of names through objects; own properties only. Undefined: there is no such claim. */
export function claimAt(claims: Claims, path: ClaimPath): unknown {
  let value: unknown = claims;
  for (const name of namesOf(claims, path)) {
    if (typeof value !== 'object' || value === null || Array.isArray(value) || !Object.hasOwn(value, name))
      return undefined;
    value = (value as Claims)[name];
  }
  return value;
}
