import { describe, expect, test } from 'vitest';
import type { GuardVerdict } from '../../../src/policy/decision.ts';
import type { RuleKind } from '../../../src/policy/fields.ts';
import { mayRead } from '../../../src/policy/program-reads.ts';
import { activation, Language } from './functions/evaluate.ts';

const of = (on: RuleKind) => new Language({ on, guards: ['llama-guard', 'moderation'] });
const languages = { request: of('request'), response: of('response'), lifecycle: of('lifecycle') };
const language = languages.request;

describe('what is wrong with an expression is said with a hint', () => {
  test.each<[string, string]>([
    ['request.modle == ""', "unknown variable 'request.modle'; did you mean 'model'?"],
    ['request["modle"] == ""', "unknown variable 'request.modle'; did you mean 'model'?"],
    ['has(request.modle)', "unknown variable 'request.modle'; did you mean 'model'?"],
    ['request.messages.exists(m, has(m.txt))', "unknown variable 'm.txt'; did you mean 'text'?"],
    ['request.messages[0].rol == ""', "unknown field 'rol' of Message; did you mean 'role'?"],
    ['model.zzz == ""', "unknown variable 'model.zzz'; there are: name, version, labels, team"],
    ['reqest.model == ""', "unknown variable 'reqest'; did you mean 'request'?"],
    ['zzz == 1', "unknown variable 'zzz'"],
    ['request.text.startWith("a")', "unknown function 'startWith'; did you mean 'startsWith'?"],
    ['cidr("10.0.0.0/8").containsIp("10.0.0.1")', "unknown function 'containsIp'; did you mean 'containsIP'?"],
    ['math.grates(1, 2) == 2', "unknown function 'grates'; did you mean 'greatest'?"],
    ['request.text.startsWith(1)', "no 'string.startsWith(int)'; there are: string.startsWith(string): bool"],
    [
      'request.text.startsWith()',
      "'startsWith' is not called like this, with 0 arguments; there are: string.startsWith(string): bool",
    ],
    [
      'startsWith("a", "b")',
      "'startsWith' is not called like this, with 2 arguments; there are: string.startsWith(string): bool",
    ],
    [
      'math.abs("a") == 1',
      "no 'math.abs(string)'; there are: math.abs(int): int, math.abs(uint): uint, math.abs(double): double",
    ],
    ['request.tokens - "a" == 1', "no 'int - string'; there are: int - int,"],
    ['!request.tokens', "no '!int'; there are: !bool"],
    ['request.tokens && true', "logical operator requires bool operands, got 'int'"],
    ['has(request)', 'has asks for a field: has(caller.email)'],
    ['now.year == 2026', 'a google.protobuf.Timestamp has no fields'],
    ['request.text.length > 1', "cannot index type 'string'"],
    ['_matches("a", "a")', "unknown function '_matches'"],
    ['_guards["llama-guard"] == 1', "unknown variable '_guards'"],
    ['guard("llama-gard").flagged', "there is no guard 'llama-gard'; did you mean 'llama-guard'?"],
    ['guard(request.model).flagged', 'the name of a guard has to be written out: guard("name")'],
    ['guard("moderation").flaged', "unknown field 'flaged' of Guard; did you mean 'flagged'?"],
  ])('%s', (expression, said) => expect(language.compile(expression)).toContain(said));
});

describe('each kind of rule has its own variables', () => {
  test.each<[RuleKind, string, string | undefined]>([
    [
      'request',
      'request.stream && http.method == "" && caller.kind == "peer" && model.name == "" && now > now',
      undefined,
    ],
    ['request', 'response.status == 200', "'response' is there only in rules with on: response"],
    ['request', 'has(toolCall.name)', "'toolCall' is there only in rules with on: response"],
    ['request', 'change.kind == ""', "'change' is there only in rules with on: lifecycle"],
    ['response', 'response.status == 200 && has(toolCall.name) && request.stream && http.path == ""', undefined],
    ['response', 'change.kind == ""', "'change' is there only in rules with on: lifecycle"],
    ['response', 'guard("moderation").flagged', undefined],
    ['lifecycle', 'change.kind == "retire" && caller.kind == "peer" && model.name == "" && now > now', undefined],
    ['lifecycle', 'request.stream', "'request' is there only in rules with on: request or response"],
    ['lifecycle', 'http.path == ""', "'http' is there only in rules with on: request or response"],
    ['lifecycle', 'guard("moderation").flagged', "'guard' is there only in rules with on: request or response"],
  ])('on %s: %s', (on, expression, wrong) => {
    const compiled = languages[on].compile(expression);
    expect(typeof compiled === 'string' ? compiled : undefined).toBe(wrong);
  });
});

describe('a guard', () => {
  const verdict: Extract<GuardVerdict, { ok: true }> = {
    ok: true,
    flagged: true,
    categories: ['hate'],
    scores: new Map([['hate', 0.9]]),
  };
  const about = (guard: GuardVerdict) => activation({ guards: new Map([['moderation', guard]]) });
  const say = (expression: string, guard: GuardVerdict = verdict) => {
    const program = language.compile(expression);
    return typeof program === 'string' ? program : language.evaluate(program, about(guard));
  };

  test('says what its verdict says', () => {
    expect(say('guard("moderation").flagged && "hate" in guard("moderation").categories')).toBe(true);
    expect(say('guard("moderation").scores["hate"] > 0.5 && !("x" in guard("moderation").scores)')).toBe(true);
    expect(say('guard("moderation").scores["x"] > 0.5')).toBe('no_such_key');
  });

  test('that failed is an error, and so is one that was not asked', () => {
    expect(say('guard("moderation").flagged', { ok: false, code: 'timeout' })).toBe('guard_failed');
    expect(say('guard("llama-guard").flagged')).toBe('guard_not_asked');
    expect(say('guard("llama-guard").flagged || guard("moderation").flagged')).toBe(true);
  });

  test('is that of the decision that is made', () => {
    const program = language.compile('guard("moderation").flagged');
    if (typeof program === 'string') throw new Error(program);
    expect(language.evaluate(program, about(verdict))).toBe(true);
    expect(language.evaluate(program, about({ ...verdict, flagged: false }))).toBe(false);
  });
});

describe('what a program reads', () => {
  const reads = (expression: string) => {
    const program = language.compile(expression);
    if (typeof program === 'string') throw new Error(program);
    return program.reads;
  };

  test.each<[string, string[], string[]]>([
    ['true', [], []],
    ['"credit_card" in request.findings && caller.team == "x"', ['caller.team', 'request.findings'], []],
    ['request["findings"]["email"] > 1', ['request.findings'], []],
    ['has(request.maxTokens) || now > now', ['now', 'request.maxTokens'], []],
    ['request.messages.exists(m, m.text.contains(http.path))', ['http.path', 'request.messages'], []],
    ['cel.bind(r, request, r.findings.size() > 0)', ['request'], []],
    ['request[caller.subject] == 1', ['caller.subject', 'request'], []],
    [
      '[1].map(x, request.tools)[0] == [] ? guard("moderation").flagged : guard("llama-guard").flagged',
      ['request.tools'],
      ['llama-guard', 'moderation'],
    ],
    ['"%s".format([request.text]) == ""', ['request.text'], []],
  ])('%s', (expression, paths, guards) => {
    const found = reads(expression);
    expect([...found.paths].toSorted()).toEqual(paths);
    expect([...found.guards].toSorted()).toEqual(guards);
  });

  test('is asked by field, and by variable', () => {
    expect(mayRead(reads('"a" in request.findings'), 'request.findings')).toBe(true);
    expect(mayRead(reads('"a" in request.findings'), 'request')).toBe(true);
    expect(mayRead(reads('"a" in request.findings'), 'request.filters')).toBe(false);
    expect(mayRead(reads('[request] == []'), 'request.filters')).toBe(true);
    expect(mayRead(reads('caller.kind == "peer"'), 'request')).toBe(false);
  });
});
