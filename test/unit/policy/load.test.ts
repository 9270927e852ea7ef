import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { policiesSection } from '../../../src/policy/config.ts';
import { loadPolicies } from '../../../src/policy/load.ts';
import { demo, input, policy, problemsOf, resolveDetectors } from './fixtures.ts';

const rule = (text: string) => problemsOf({ 'p.yaml': policy(`- {name: r, ${text}}`) });
const when = (expression: string) => rule(`then: allow, when: ${JSON.stringify(expression)}`);

describe('a complaint about an expression', () => {
  test.each<[string, string]>([
    ['caller.grops == []', "p.yaml:6:44: unknown variable 'caller.grops'; did you mean 'groups'?"],
    ['request.modle == "x"', "p.yaml:6:45: unknown variable 'request.modle'; did you mean 'model'?"],
    ['request.zzz == "x"', "unknown variable 'request.zzz'; there are: format, operation, model,"],
    ['calle.subject == "x"', "p.yaml:6:37: unknown variable 'calle'; did you mean 'caller'?"],
    ['request.messages.exists(m, m.txt == "x")', "unknown variable 'm.txt'; did you mean 'text'?"],
    ['request.tokens == "x"', "p.yaml:6:37: no 'int == string'; there are: T == T"],
    ['caller.groups.exists(g, g == 1)', "no 'string == int'; there are: T == T"],
    ['request.text.startWith("x")', "unknown function 'startWith'; did you mean 'startsWith'?"],
    ['siz(request.text) > 1', "unknown function 'siz'; did you mean 'size'?"],
    ['size(1) > 1', "no 'size(int)'; there are: size(string): int, string.size(): int,"],
    [
      'request.text.matches(1)',
      "no 'string.matches(int)'; there are: string.matches(string): bool, matches(string, string): bool",
    ],
    ['variables.x', "unknown variable 'variables.x'"],
    ['request.tokens', 'p.yaml:6:36: when must be a bool, this is an int'],
    ['caller.claims.admin', 'when must be a bool, this is a dyn'],
    ['request.tokens + ', 'p.yaml:6:54: unexpected token: EOF'],
    ['true ||', 'unexpected token: EOF'],
    ['"a', 'p.yaml:6:37: '],
    ['request.text.matches("(?=a)")', 'p.yaml:6:37: not a pattern (RE2 syntax)'],
    ['request.text.matches("(")', 'not a pattern (RE2 syntax)'],
    ['now.getHours("Mars/Olympus") > 1', '"Mars/Olympus" is not a time zone'],
    ['"credit_crad" in request.findings', 'p.yaml:6:37: there is no detector or category "credit_crad"'],
    ['"all" in request.findings', 'findings are counted by detector and by category; "all" is neither'],
    ['"health" in request.findings', 'no detector is in category "health": it is never found'],
    ['request.findings["emial"] > 1', 'there is no detector or category "emial"'],
    ['b"{}".json().a == 1', "unknown function 'json'"],
    ['"a" + "b".repeat(3) == "x"', "unknown function 'repeat'"],
    [`${'!'.repeat(2100)}true`, 'exceeded maxAstNodes'],
    [`${'('.repeat(60)}true${')'.repeat(60)}`, 'exceeded maxDepth'],
    [`[${'1,'.repeat(600)}1] == []`, 'exceeded maxListElements'],
    [Array(1100).fill('true').join('||'), 'exceeded maxAstNodes'],
    [`"${'x'.repeat(9000)}" == ""`, 'longer than 8192 characters'],
  ])('%s', (expression, expected) => {
    const problems = when(expression);
    expect(problems).toHaveLength(1);
    expect(problems[0]).toContain(expected);
  });
});

describe('the place of a complaint', () => {
  const placed = (yaml: string) =>
    problemsOf({ 'p.yaml': policy(`- name: r\n  then: allow\n  when: ${yaml}`) })[0]?.split(': ')[0];
  test.each([
    ['plain', 'oops && true', 'p.yaml:8:13'],
    ['plain, over two lines', 'true &&\n    oops', 'p.yaml:9:9'],
    ['single quotes', `'"it''s" == "" && oops'`, 'p.yaml:8:31'],
    ['double quotes with escapes', String.raw`"\"a\u0041\x41\t\" == \"\" && oops"`, 'p.yaml:8:43'],
    ['double quotes, over two lines', '"true &&\n    oops"', 'p.yaml:9:9'],
    ['literal', '|\n    true &&\n      oops', 'p.yaml:10:11'],
    ['literal, first line', '|\n    oops &&\n      true', 'p.yaml:9:9'],
    ['folded', '>-\n    true &&\n\n    true &&\n    oops', 'p.yaml:12:9'],
  ])('is right in a text that is %s', (_style, yaml, expected) => {
    expect(placed(yaml)).toBe(expected);
  });
});

const oneOf = '"then" must be one of: allow, deny, requireApproval, limit, mask, stop';

describe('a complaint about a file', () => {
  const whole = (text: string) => problemsOf({ 'p.yaml': text });
  test.each<[string, string[]]>([
    ['when: "true"', [`p.yaml:6:7: spec.rules.0.then: ${oneOf}`]],
    ['then: alow', [`p.yaml:6:23: spec.rules.0.then: ${oneOf}. Did you mean "allow"?`]],
    ['then: 1', [`p.yaml:6:23: spec.rules.0.then: ${oneOf}`]],
    ['then: allow, on: response', ['p.yaml:6:34: spec.rules.0.on: must be "request" or "lifecycle": allow decides']],
    ['then: deny, on: [request]', ['p.yaml:6:33: spec.rules.0.on: must be "request" or "lifecycle": deny decides']],
    ['then: stop, on: request', ['p.yaml:6:33: spec.rules.0.on: must be "response": stop ends an answer; to refuse a']],
    [
      'then: mask, detect: [pii], on: lifecycle',
      ['p.yaml:6:48: spec.rules.0.on: must be "request", "response" or a list'],
    ],
    ['then: mask, detect: [pii], on: []', ['p.yaml:6:48: spec.rules.0.on: must not be empty']],
    ['then: mask, detect: [pii], on: [request, request]', ['p.yaml:6:48: spec.rules.0.on: names one twice']],
    [
      'then: allow, message: no',
      ['p.yaml:6:39: spec.rules.0: unknown key "message". It is for: deny, requireApproval, limit, stop.'],
    ],
    ['then: deny, approvers: [a]', ['p.yaml:6:40: spec.rules.0: unknown key "approvers". It is for: requireApproval.']],
    ['then: requireApproval', ['p.yaml:6:7: spec.rules.0.approvers: is missing']],
    ['then: requireApproval, approvers: []', ['p.yaml:6:51: spec.rules.0.approvers: must name a group']],
    [
      'then: requireApproval, approvers: [a], minApprovals: 0',
      ['p.yaml:6:70: spec.rules.0.minApprovals: must be 1 at least'],
    ],
    [
      'then: requireApproval, approvers: [a], minApprovals: 1.5',
      ['p.yaml:6:70: spec.rules.0.minApprovals: must be a whole number'],
    ],
    [
      'then: requireApproval, approvers: [a], grant: {scope: all}',
      ['p.yaml:6:71: spec.rules.0.grant.scope: must be "request" or "rule"'],
    ],
    [
      'then: requireApproval, approvers: [a], grant: {for: 30}',
      ['p.yaml:6:69: spec.rules.0.grant.for: must be a duration such as 30m'],
    ],
    [
      'then: requireApproval, approvers: [a], grant: {for: 31d}',
      ['p.yaml:6:69: spec.rules.0.grant.for: must be a duration of 1s to 30d'],
    ],
    [
      'then: requireApproval, approvers: [a], grant: {use: 1}',
      ['p.yaml:6:69: spec.rules.0.grant: unknown key "use". Did you mean "uses"?'],
    ],
    ['then: limit', ['p.yaml:6:7: spec.rules.0.limits: is missing']],
    ['then: limit, limits: []', ['p.yaml:6:38: spec.rules.0.limits: must have a limit']],
    [
      'then: limit, limits: [{per: 1m}]',
      ['p.yaml:6:39: spec.rules.0.limits.0: must have exactly one of requests and tokens'],
    ],
    [
      'then: limit, limits: [{requests: 1, tokens: 1, per: 1m}]',
      ['p.yaml:6:39: spec.rules.0.limits.0: must have exactly one'],
    ],
    [
      'then: limit, limits: [{requests: 0, per: 1m}]',
      ['p.yaml:6:50: spec.rules.0.limits.0.requests: must be 1 at least'],
    ],
    [
      'then: limit, limits: [{requests: 1, per: 1w}]',
      ['p.yaml:6:58: spec.rules.0.limits.0.per: must be a duration of 1s to 366d'],
    ],
    [
      'then: limit, limits: [{requests: 1, per: 0s}]',
      ['p.yaml:6:58: spec.rules.0.limits.0.per: must be a duration of 1s to 366d'],
    ],
    [
      'then: limit, limits: [{requests: 1, per: 367d}]',
      ['p.yaml:6:58: spec.rules.0.limits.0.per: must be a duration of 1s to 366d'],
    ],
    [
      'then: limit, limits: [{requests: 1, per: 60s}, {requests: 2, per: 1m}]',
      ['p.yaml:6:38: spec.rules.0.limits: has two limits of one kind and window'],
    ],
    [
      'then: limit, limits: [{requests: 1, per: 1m}], by: now',
      [
        'p.yaml:6:68: by must be a string, int, bool, double, or a list or map of them, this is a google.protobuf.Timestamp',
      ],
    ],
    [
      'then: limit, limits: [{requests: 1, per: 1m}], by: request',
      ['p.yaml:6:68: by must be a string, int, bool, double'],
    ],
    [
      'then: limit, limits: [{requests: 1, per: 1m}], by: request.messages',
      ['p.yaml:6:68: by must be a string, int, bool, double'],
    ],
    [
      'then: limit, on: response, limits: [{requests: 1, per: 1m}]',
      ['p.yaml:6:34: spec.rules.0.on: must be "request": limits are charged'],
    ],
    [
      'then: allow, severity: severe',
      ['p.yaml:6:40: spec.rules.0.severity: must be one of: info, low, medium, high, critical'],
    ],
    ['then: allow, labels: {a: 1}', ['p.yaml:6:42: spec.rules.0.labels.a: must be a text']],
    ['then: allow, labels: {"a b": x}', ['p.yaml:6:46: spec.rules.0.labels.a b: must be letters, digits']],
    ['then: allow, when: response.status == 200', ["p.yaml:6:36: 'response' is there only in rules with on: response"]],
    [
      'then: mask, detect: [pii], on: request, when: response.status == 200',
      ["p.yaml:6:63: 'response' is there only in rules with on: response"],
    ],
    [
      'then: mask, detect: [pii], on: [request, response], when: toolCall.name == ""',
      ["p.yaml:6:75: 'toolCall' is there only in rules with on: response"],
    ],
    ['then: stop, when: change.kind == ""', ["p.yaml:6:35: 'change' is there only in rules with on: lifecycle"]],
    [
      'then: deny, on: lifecycle, when: request.stream',
      ["p.yaml:6:50: 'request' is there only in rules with on: request or response"],
    ],
    ['then: mask', ['p.yaml:6:7: spec.rules.0.detect: ']],
    ['then: mask, detect: []', ['p.yaml:6:37: spec.rules.0.detect: must name a detector or a category']],
    ['then: mask, detect: [health]', ['p.yaml:6:37: no detector is meant: nothing would be masked']],
    ['then: mask, detect: [pii, emial]', ['p.yaml:6:37: there is no detector or category "emial"']],
    ['then: allow, detect: [pii]', ['p.yaml:6:38: spec.rules.0: unknown key "detect". It is for: mask.']],
    ['then: allow, wen: "true"', ['p.yaml:6:35: spec.rules.0: unknown key "wen". Did you mean "when"?']],
    ['then: allow, when: true', ['p.yaml:6:36: spec.rules.0.when: must be a CEL expression (text)']],
    ['then: allow, mode: trial', ['p.yaml:6:36: spec.rules.0.mode: must be "enforce" or "dryRun"']],
    [
      'then: deny, message: a, messageExpression: \'"b"\'',
      ['p.yaml:6:60: spec.rules.0.messageExpression: message and messageExpression exclude each other'],
    ],
    ['then: deny, messageExpression: "1"', ['p.yaml:6:48: messageExpression must be a string, this is an int']],
    ['then: allow, then: deny', ['p.yaml:6:30: map keys must be unique']],
  ])('whose rule says %s', (text, expected) => {
    const problems = rule(text);
    expect(problems.map((p, i) => p.slice(0, expected[i]?.length))).toEqual(expected);
  });

  test.each<[string, string, string]>([
    ['nothing', '', 'p.yaml:1:1: the file is empty'],
    ['a list', '- a', 'p.yaml:1:1: '],
    ['broken YAML', 'a: [1,\nb: 2', 'p.yaml:'],
    [
      'another version',
      policy('- {name: a, then: allow}').replace('v1', 'v2'),
      'p.yaml:1:13: apiVersion: must be "sallyport/v1"',
    ],
    [
      'another kind',
      policy('- {name: a, then: allow}').replace('kind: Policy', 'kind: Rule'),
      'p.yaml:2:7: kind: must be "Policy"',
    ],
    ['no rules', policy('').replace(/rules:[\s\S]*/, 'rules: []'), 'p.yaml:5:10: spec.rules: must have a rule'],
    [
      'a name in capitals',
      policy('- {name: Rule One, then: allow}'),
      'p.yaml:6:14: spec.rules.0.name: must be lower case',
    ],
    [
      'two rules of one name',
      policy('- {name: a, then: allow}\n- {name: a, then: deny}'),
      'p.yaml:7:14: there are two rules "a"',
    ],
    ['an unknown tag', policy('- {name: a, then: !evil allow}'), 'p.yaml:6:23: tags (!name) are not allowed'],
    [
      'many aliases of aliases',
      `a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: [*c,*c,*c,*c]`,
      'p.yaml:1:4: anchors (&name) are not allowed',
    ],
    [
      'a reserved variable',
      policy('- {name: a, then: allow}', '  variables: [{name: constructor, expression: "1"}]\n'),
      'spec.variables.0.name: is reserved',
    ],
    [
      'two variables of one name',
      policy('- {name: a, then: allow}', '  variables: [{name: x, expression: "1"}, {name: x, expression: "2"}]\n'),
      'p.yaml:5:50: there are two variables "x"',
    ],
    [
      'a variable that reads a later one',
      policy(
        '- {name: a, then: allow}',
        '  variables: [{name: x, expression: variables.y}, {name: y, expression: "2"}]\n',
      ),
      "unknown variable 'variables.y'",
    ],
    [
      'a variable that reads itself',
      policy('- {name: a, then: allow}', '  variables: [{name: x, expression: variables.x}]\n'),
      "unknown variable 'variables.x'",
    ],
  ])('that has %s', (_what, text, expected) => {
    expect(whole(text)[0]).toContain(expected);
  });

  test('lists every problem of every file, in order', () => {
    const problems = problemsOf({
      'b.yaml': policy('- {name: a, then: allow, when: x}\n- {name: b, then: allow, when: y}'),
      'a.yaml': 'kind: Policy',
    });
    const places = problems.map((p) => p.split(':').slice(0, 2).join(':'));
    expect(places).toEqual(['a.yaml:1', 'a.yaml:1', 'a.yaml:1', 'b.yaml:6', 'b.yaml:7']);
  });

  test('may be one of several in a file, with a name of its own', () => {
    const one = policy('- {name: a, then: allow}');
    expect(problemsOf({ 'p.yaml': `${one}---\n${one.replace('name: test', 'name: two')}---\n` })).toEqual([]);
    expect(problemsOf({ 'p.yaml': one, 'q.yaml': one })).toEqual([
      'q.yaml:3:18: there is a policy "test" already, in p.yaml',
    ]);
  });
});

describe('the models of a policy', () => {
  const rules = '- {name: a, then: allow}';
  test.each<[string, string, string, string]>([
    [
      'no model is called so',
      'p.yaml',
      '  models: [dmo]\n',
      'p.yaml:5:12: no model is called "dmo". Did you mean "demo"?',
    ],
    ['no model fits the pattern', 'p.yaml', '  models: ["gpt-*"]\n', 'p.yaml:5:12: no model is called "gpt-*".'],
    [
      'a team names the model of another',
      'voice/p.yaml',
      '  models: [voice, llama-70b]\n',
      'voice/p.yaml:5:19: "llama-70b" means "llama-70b", which team "voice" does not own',
    ],
    [
      'a team names a model of nobody',
      'voice/p.yaml',
      '  models: [demo]\n',
      '"demo" means "demo", which team "voice" does not own',
    ],
    [
      'a pattern of a team reaches further',
      'voice/deep/p.yaml',
      '  models: ["*o*"]\n',
      '"*o*" means "demo", which team "voice" does not own',
    ],
    ['the team owns nothing', 'sales/p.yaml', '', 'team "sales" owns no model'],
    [
      'the folder is reserved',
      '_plattform/p.yaml',
      '',
      'folders that begin with "_" are reserved; there is only "_platform"',
    ],
  ])('are refused when %s', (_what, file, spec, expected) => {
    expect(problemsOf({ [file]: policy(rules, spec) })[0]).toContain(expected);
  });

  test('are refused when metadata.team is not the team of the folder', () => {
    const text = policy(rules).replace('{name: test}', '{name: test, team: ml-platform}');
    expect(problemsOf({ 'voice/p.yaml': text })).toEqual(['voice/p.yaml:3:30: this is the folder of team "voice"']);
    expect(
      problemsOf({ 'ml-platform/p.yaml': text, '_platform/q.yaml': policy(rules).replace('name: test', 'name: q') }),
    ).toEqual([]);
  });
});

describe('a folder of policies', () => {
  let dir: string;
  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), 'policies-'));
  });
  afterEach(() => rm(dir, { recursive: true }));

  const options = () => ({
    dir,
    resolveDetectors,
    models: [demo],
    evaluationBudget: policiesSection.parse({}).evaluationBudget,
  });
  const write = async (path: string, text: string) => {
    await mkdir(join(dir, path, '..'), { recursive: true });
    await writeFile(join(dir, path), text);
  };
  const good = policy('- {name: all, then: allow}');

  test('is read with its subfolders, without what lives beside the policies', async () => {
    await write('a.yaml', good);
    await write('_platform/b.yml', good.replace('name: test', 'name: b'));
    for (const beside of ['models.yaml', 'teams.yaml', 'a.cases.yaml', '.hidden.yaml', '..data/c.yaml', 'README.md'])
      await write(beside, 'not: a policy');
    await symlink(join(dir, 'a.yaml'), join(dir, '.link'));
    const loaded = await loadPolicies(options());
    if (!loaded.ok) return expect(loaded.problems).toEqual([]);
    expect(loaded.set.decide(input()).rules.map((r) => r.policy)).toEqual(['b', 'test']);
  });

  test.each<[string, () => Promise<void>, string]>([
    ['is not there', () => rm(dir, { recursive: true }), 'ENOENT'],
    ['is nested too deep', () => write('a/b/c/d/e.yaml', good), 'folders are nested deeper than 4'],
    [
      'has a file of over a megabyte',
      () => write('a.yaml', `${good}#${'x'.repeat(1_048_576)}`),
      'a policy file may have 1048576',
    ],
    ['has no policy', () => write('models.yaml', 'x: 1'), 'there is no policy'],
  ])('that %s is refused', async (_what, prepare, expected) => {
    await prepare();
    const loaded = await loadPolicies(options());
    expect(loaded).toMatchObject({ ok: false, problems: [{ message: expect.stringContaining(expected) }] });
    await mkdir(dir, { recursive: true });
  });
});
