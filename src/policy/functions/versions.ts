import type { SemVer } from 'semver';
import compare from 'semver/functions/compare.js';
import parse from 'semver/functions/parse.js';
import type { Comparable } from './equality.ts';
import { invalid } from './failure.ts';
import { type FunctionGroup, type Overload, pure, sources } from './row.ts';

/** A version as Semantic Versioning 2.0.0 has it. */
export class Version implements Comparable {
  readonly #value: SemVer;

  constructor(value: SemVer) {
    this.#value = value;
  }

  static parse(text: string): Version | undefined {
    // The library also takes `v1.2.3`, `=1.2.3` and white space.
    const value = /^\d[0-9A-Za-z.+-]{0,255}$/.test(text) ? parse(text) : null;
    return value === null ? undefined : new Version(value);
  }

  static read(text: string): Version {
    const version = Version.parse(text);
    if (version === undefined) throw invalid('not a semantic version');
    return version;
  }

  get parts(): readonly [major: number, minor: number, patch: number] {
    return [this.#value.major, this.#value.minor, this.#value.patch];
  }

  /** -1, 0 or 1; what is behind `+` does not count. */
  compareTo(other: Version): -1 | 0 | 1 {
    return compare(this.#value, other.#value);
  }

  equals(other: unknown): boolean {
    return other instanceof Version && this.compareTo(other) === 0;
  }

  toText(): string {
    return this.#value.raw;
  }
}

const row = (name: string, doc: string, examples: readonly string[], overloads: readonly Overload[]) => ({
  name,
  doc,
  source: sources.kubernetes,
  examples,
  overloads,
});
const part = (name: string, index: 0 | 1 | 2) =>
  pure(`Semver.${name}(): int`, (version: Version) => BigInt(version.parts[index]));

export const versionFunctions: FunctionGroup = {
  title: 'Versions',
  intro:
    'By [Semantic Versioning](https://semver.org): pre-releases come before their release, build metadata does not count.',
  types: { Semver: { ctor: Version, fields: {} } },
  operators: { 'Semver == Semver': (a: Version, b: Version) => a.equals(b) },
  rows: [
    row(
      'semver',
      'a version; other text is an error',
      ['semver("1.2.3") == semver("1.2.3+build5")'],
      [pure('semver(string): Semver', (text: string) => Version.read(text))],
    ),
    row(
      'isSemver',
      'whether the text is a version',
      ['isSemver("1.2.3-rc.1") && !isSemver("v1.2.3") && !isSemver("1.2")'],
      [pure('isSemver(string): bool', (text: string) => Version.parse(text) !== undefined)],
    ),
    row(
      'isLessThan',
      'whether it is the lesser',
      ['semver("1.9.0").isLessThan(semver("1.10.0"))', 'semver("1.0.0-rc.1").isLessThan(semver("1.0.0"))'],
      [pure('Semver.isLessThan(Semver): bool', (a: Version, b: Version) => a.compareTo(b) < 0)],
    ),
    row(
      'isGreaterThan',
      'whether it is the greater',
      ['semver("2.0.0").isGreaterThan(semver("1.99.99"))'],
      [pure('Semver.isGreaterThan(Semver): bool', (a: Version, b: Version) => a.compareTo(b) > 0)],
    ),
    row(
      'compareTo',
      '-1, 0 or 1',
      ['semver("1.0.0").compareTo(semver("1.0.1")) == -1'],
      [pure('Semver.compareTo(Semver): int', (a: Version, b: Version) => BigInt(a.compareTo(b)))],
    ),
    row('major', 'the first number', ['semver("1.2.3").major() == 1'], [part('major', 0)]),
    row('minor', 'the second number', ['semver("1.2.3").minor() == 2'], [part('minor', 1)]),
    row('patch', 'the third number', ['semver("1.2.3").patch() == 3'], [part('patch', 2)]),
  ],
};
