/** 9999-12-31T23:59:59Z; a date beyond it is a mistake or an attack, not a date. */
export const lastSecond = 253_402_300_799;

/** A NumericDate (RFC 7519 §2) in seconds, fractions included; undefined for what is none, strings too. */
export function dateAt(claims: Readonly<Record<string, unknown>>, name: string): number | undefined {
  const value = Object.hasOwn(claims, name) ? claims[name] : undefined;
  return typeof value === 'number' && value >= 0 && value <= lastSecond ? value : undefined;
}
