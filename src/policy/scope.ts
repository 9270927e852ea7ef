import type { Model } from '../models/model.ts';
import type { LocatedPolicy } from './document.ts';
import { matchesGlob } from './glob.ts';
import { didYouMean, type Problem } from './problem.ts';

/** Which models something is about. */
export type Scope = (model: Model) => boolean;

type Path = readonly PropertyKey[];

const everyTeam = '_platform';
const maxStars = 8;

/**
 * Which models a policy is about. Files at the top and below `_platform/` may speak of any; a team's folder (or
 * `metadata.team`) only of those that the team owns. A pattern that means no model is refused: a rule that denies
 * for a misspelled model would never deny.
 */
export function compileScope(source: LocatedPolicy, models: readonly Model[], problems: Problem[]): Scope {
  const { metadata, spec } = source.document;
  const folder = source.file.includes('/') ? source.file.slice(0, source.file.indexOf('/')) : everyTeam;
  if (folder.startsWith('_') && folder !== everyTeam)
    problems.push(source.problem([], `folders that begin with "_" are reserved; there is only "${everyTeam}"`));
  if (folder !== everyTeam && metadata.team !== undefined && metadata.team !== folder)
    problems.push(source.problem(['metadata', 'team'], `this is the folder of team "${folder}"`));
  const team = folder === everyTeam ? metadata.team : folder;
  const owned: Scope = (model) => team === undefined || model.team === team;
  if (team !== undefined && !models.some(owned))
    problems.push(source.problem(['metadata', 'team'], `team "${team}" owns no model`));
  const foreign = (pattern: string, model: string) =>
    `"${pattern}" means "${model}", which team "${team}" does not own`;
  const named = compileModels(
    { source, path: ['spec', 'models'], patterns: spec.models, reach: owned, models, foreign },
    problems,
  );
  return (model) => owned(model) && named(model);
}

/** The models of one rule, among those of its file. */
export function compileRuleScope(
  source: LocatedPolicy,
  path: Path,
  patterns: readonly string[] | undefined,
  file: Scope,
  models: readonly Model[],
  problems: Problem[],
): Scope {
  if (patterns === undefined) return file;
  const foreign = (pattern: string, model: string) => `"${pattern}" means "${model}", which this file is not about`;
  const named = compileModels({ source, path: [...path, 'models'], patterns, reach: file, models, foreign }, problems);
  return (model) => file(model) && named(model);
}

interface Patterns {
  readonly source: LocatedPolicy;
  readonly path: Path;
  readonly patterns: readonly string[] | undefined;
  /** What they may mean. */
  readonly reach: Scope;
  readonly models: readonly Model[];
  readonly foreign: (pattern: string, model: string) => string;
}

function compileModels({ source, path, patterns, reach, models, foreign }: Patterns, problems: Problem[]): Scope {
  if (patterns === undefined) return () => true;
  for (const [index, pattern] of patterns.entries()) {
    const complain = (message: string) => problems.push(source.problem([...path, index], message));
    const bad = badPattern(pattern);
    if (bad !== undefined) {
      complain(bad);
      continue;
    }
    const meant = models.filter(({ name }) => matchesGlob(pattern, name));
    const beyond = meant.find((model) => !reach(model));
    const names = models.map(({ name }) => name);
    if (meant.length === 0) complain(`no model is called "${pattern}".${didYouMean(pattern, names)}`);
    else if (beyond !== undefined) complain(foreign(pattern, beyond.name));
  }
  return ({ name }) => patterns.some((pattern) => matchesGlob(pattern, name));
}

/** Only `*` stands for anything; what looks like another language of patterns is refused, not taken at its letters. */
function badPattern(pattern: string): string | undefined {
  if (pattern === '') return 'a pattern must not be empty';
  if (pattern.trim() !== pattern) return 'a pattern must not begin or end with a space';
  if (/\p{Cc}/u.test(pattern)) return 'a pattern must not have control characters';
  const [sign] = /[?[\]{}!\\^$|()]/.exec(pattern) ?? [];
  if (sign !== undefined) return `"${sign}" means nothing in a pattern: only * does, for any characters`;
  if (pattern.includes('**')) return 'write * once: it stands for any characters';
  return pattern.split('*').length - 1 > maxStars ? `a pattern may have ${maxStars} times * at most` : undefined;
}
