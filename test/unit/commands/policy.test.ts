import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { cases, engineers, noCards, policies, policy, projectPerTest, write } from './policies.ts';
import { readJunit } from './xml.ts';

const home = projectPerTest();

describe('policy check', () => {
  it('says that all is well, and how many rules there are', async () => {
    write('policies/chat.yaml', policy(engineers));
    write('policies/chat.cases.yaml', cases('- {name: an engineer, expect: {verdict: allow}}'));
    expect(await policies(['check'])).toMatchObject({ code: 0, stdout: '1 rule, no problems, 0 warnings.\n' });
  });

  it('names file, line and column of everything that is wrong, with a hint', async () => {
    write('policies/chat.yaml', policy(`${engineers}\n- {name: b, when: 'request.modle == "x"', then: deny}`));
    write('policies/team.yaml', policy('- {name: c, when: "1 + 1", then: deny}', 'team'));
    const { code, stdout } = await policies(['check']);
    expect(code).toBe(1);
    expect(stdout).toContain("policies/chat.yaml:7:32: unknown variable 'request.modle'; did you mean 'model'?");
    expect(stdout).toMatch(/policies\/team\.yaml:6:\d+: when must be a bool, this is an? int/);
    expect(stdout).toContain('2 problems.');
  });

  it('warns of rules that can never matter and of those that no case tries; --strict fails on them', async () => {
    write(
      'policies/chat.yaml',
      policy(`${engineers}\n- {name: never, when: "false && true", then: deny}\n- {name: all, then: allow}`),
    );
    write('policies/chat.cases.yaml', cases('- {name: one, caller: {groups: []}, expect: {verdict: allow}}'));
    const { code, stdout } = await policies(['check']);
    expect(code).toBe(0);
    expect(stdout).toMatch(/unreachable: chat\/never never matches: the condition is always false/);
    expect(stdout).toMatch(/shadowed: chat\/engineers changes nothing: chat\/all allows all of it/);
    expect(stdout).toMatch(/untested: chat\/engineers no case has it match/);
    expect((await policies(['check', '--strict'])).code).toBe(1);
    const { warnings } = JSON.parse((await policies(['check', '--json'])).stdout);
    expect(warnings[0]).toMatchObject({ kind: 'shadowed', about: 'chat/engineers', file: 'chat.yaml', line: 6 });
  });
});

describe('policy test', () => {
  it('passes what is as the cases say, and shows which rules they try', async () => {
    write('policies/chat.yaml', policy(`${engineers}\n${noCards}`));
    write(
      'policies/chat.cases.yaml',
      cases(`- {name: an engineer, expect: {verdict: allow, rules: [engineers]}}
- name: a card
  request: {body: {messages: [{role: user, content: "4111 1111 1111 1111"}]}}
  expect: {verdict: deny, by: no-cards, message: No cards., rules: [chat/engineers, no-cards]}
- {name: nobody, caller: {groups: []}, expect: {verdict: deny, rules: []}}`),
    );
    const { code, stdout } = await policies(['test']);
    expect(stdout).toContain('✓ an engineer');
    expect(stdout).toContain('3 passed, 0 failed. 2 of 2 rules match in a case (100 %).');
    expect(code).toBe(0);
  });

  it('shows what was expected beside what came', async () => {
    write('policies/chat.yaml', policy(engineers));
    write('policies/chat.cases.yaml', cases('- {name: an engineer, expect: {verdict: deny, mask: [pii], rules: []}}'));
    const { code, stdout } = await policies(['test']);
    expect(code).toBe(1);
    expect(stdout).toContain(
      '  ✗ an engineer\n      verdict\n        - expected  deny\n        + got       allow\n      rules\n        - expected  nothing\n        + got       chat/engineers\n      mask\n        - expected  ',
    );
    expect(stdout).toContain('        + got       nothing\n');
    expect(stdout).toContain('0 passed, 1 failed.');
  });

  it('writes a JUnit report, whatever the names of cases have in them', async () => {
    write('policies/chat.yaml', policy(engineers));
    write(
      'policies/chat.cases.yaml',
      cases(`- {name: 'a <b> & "c"', expect: {verdict: deny}}\n- {name: "bell \\x07", expect: {verdict: allow}}`),
    );
    const report = join(home.folder, 'report.xml');
    expect((await policies(['test', '--junit', report])).code).toBe(1);
    const xml = readFileSync(report, 'utf8');
    expect(readJunit(xml)).toEqual({
      suites: 1,
      tests: ['a <b> & "c"', 'bell \ufffd'],
      failures: ['verdict: expected deny, got allow'],
      counts: { tests: '2', failures: '1' },
    });
    expect((await policies(['test', '--junit', join(home.folder, 'no/such/report.xml')])).stderr).toContain(
      'cannot be written (ENOENT)',
    );
  });

  it('fails below --min-coverage, runs --only some, and says when there is nothing to run', async () => {
    write('policies/chat.yaml', policy(`${engineers}\n${noCards}`));
    expect(await policies(['test'])).toMatchObject({ code: 1, stderr: expect.stringContaining('There are no cases.') });
    write(
      'policies/chat.cases.yaml',
      cases('- {name: one, expect: {verdict: allow}}\n- {name: two, expect: {verdict: deny}}'),
    );
    expect((await policies(['test', '--only', 'one'])).code).toBe(0);
    expect(await policies(['test', '--only', 'one', '--min-coverage', '80'])).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('80 %'),
    });
    expect((await policies(['test', '--only', 'three'])).stderr).toContain('No case has "three"');
  });

  it('tells every problem of the cases with its place', async () => {
    write('policies/chat.yaml', policy(engineers));
    write('policies/chat.cases.yaml', cases('- {name: one, expct: {verdict: allow}}'));
    const { code, stderr } = await policies(['test']);
    expect(code).toBe(2);
    expect(stderr).toMatch(/policies\/chat\.cases\.yaml:5:\d+: cases\[0\]/);
    expect(stderr).toContain('expct');
  });

  it('asks rules on responses and on changes as well', async () => {
    write(
      'policies/chat.yaml',
      policy(`${engineers}
- {name: too-long, on: response, when: "response.bytes > 100", then: stop, message: Enough.}
- {name: retire, on: lifecycle, when: 'change.kind == "retire"', then: requireApproval, approvers: [owners]}
- {name: any-change, on: lifecycle, then: allow}`),
    );
    write(
      'policies/chat.cases.yaml',
      cases(`- {name: a long answer, response: {bytes: 200}, expect: {stop: true, by: too-long, message: Enough.}}
- {name: a short one, response: {bytes: 20}, expect: {stop: false}}
- {name: a retirement, change: {kind: retire}, expect: {verdict: requireApproval, approvers: [owners]}}
- {name: a new version, change: {kind: version, toVersion: "2"}, expect: {verdict: allow}}`),
    );
    expect((await policies(['test'])).stdout).toContain('4 passed, 0 failed. 3 of 4 rules');
  });
});

describe('policy eval', () => {
  it('says what each rule did about one request', async () => {
    write('policies/chat.yaml', policy(`${engineers}\n${noCards}`));
    const { code, stdout } = await policies(['eval', '--groups', 'eng', '--subject', 'jane']);
    expect(code).toBe(0);
    expect(stdout).toMatch(/Verdict +allow/);
    expect(stdout).toContain('✓ chat/engineers (allow): matches\n      chat.yaml:6:');
    expect(stdout).toContain('chat/no-cards (deny): does not match');
  });

  it('reads the body as the gate does, and fails where the verdict is deny', async () => {
    write('policies/chat.yaml', policy(`${engineers}\n${noCards}`));
    write('body.json', '{"messages": [{"role": "user", "content": "4111 1111 1111 1111"}]}');
    const body = join(home.folder, 'body.json');
    const { code, stdout } = await policies(['eval', '--groups', 'eng', '--body', body, '--json']);
    expect(code).toBe(1);
    expect(JSON.parse(stdout)).toMatchObject({
      decision: { verdict: 'deny', by: 'chat/no-cards', message: 'No cards.' },
    });
    write('body.json', '{"messages": 1}');
    expect((await policies(['eval', '--body', body])).stderr).toContain(
      'The gate refuses this request before any rule: invalid_request',
    );
    write('body.json', 'no json');
    expect(await policies(['eval', '--body', body])).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('is not JSON'),
    });
    expect((await policies(['eval', '--model', 'nobody'])).stderr).toContain('There is no model nobody.');
    expect((await policies(['eval', '--at', 'noon'])).stderr).toContain('must be a date and time');
  });
});

describe('policy diff', () => {
  it('lists rules that were added, removed and changed, and what changed', async () => {
    write('policies/chat.yaml', policy(`${engineers}\n${noCards}`));
    write(
      'new/chat.yaml',
      policy(`${engineers.replace('"eng"', '"staff"')}\n- {name: other, then: deny, mode: dryRun}`),
    );
    const before = join(home.folder, 'policies');
    const after = join(home.folder, 'new');
    const { code, stdout } = await policies(['diff', before, after]);
    expect(code).toBe(1);
    expect(stdout).toContain('- chat/no-cards (deny)');
    expect(stdout).toContain('+ chat/other (deny, on trial)');
    expect(stdout).toContain('~ chat/engineers (allow)');
    expect(stdout).toContain('when: "eng" in caller.groups → "staff" in caller.groups');
    expect(await policies(['diff', before])).toMatchObject({ code: 0, stdout: 'The same files.\n' });
    expect(JSON.parse((await policies(['diff', after, '--json'])).stdout)).toMatchObject({
      same: false,
      added: [{ rule: 'no-cards' }],
    });
  });
});
