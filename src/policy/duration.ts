const units = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;

/** Milliseconds of `30s`, `5m`, `1h`, `7d`: a whole number and one unit. Undefined: it is none. */
export function durationMs(text: string): number | undefined {
  const parts = /^([1-9][0-9]{0,8})([smhd])$/.exec(text);
  if (parts === null) return undefined;
  const [, amount, unit] = parts;
  return Number(amount) * units[unit as keyof typeof units];
}
