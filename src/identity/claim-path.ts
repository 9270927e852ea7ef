import type { ClaimPath } from './config/values.ts';

type Claims = Readonly<Record<string, unknown>>;

/**
 * The names that a path leads through. A claim that is called like the path, or the longest beginning of it, comes before
 * what the dots mean: `kubernetes.io.namespace` is `namespace` in the claim `kubernetes.io`.
 */
export function namesOf(claims: Claims, path: ClaimPath): readonly string[] {
  if (typeof path !== 'string') return path;
  const names = path.split('.');
  for (let first = names.length; first > 1; first -= 1) {
    const claim = names.slice(0, first).join('.');
    if (Object.hasOwn(claims, claim)) return [claim, ...names.slice(first)];
  }
  return names;
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
