import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { cases, engineers, noCards, policies, policy, projectPerTest, write } from './policies.ts';
import { readJunit } from './xml.ts';

const home = projectPerTest();

/** Adds a section to sallyport.yaml. */
const configure = (section: string): void =>
  write('sallyport.yaml', `${readFileSync(join(home.folder, 'sallyport.yaml'), 'utf8')}\n${section}\n`);

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
    expect(stdout).toMatch(/policies\/team\.yaml:6:\d+: when must be a bool, this is an int/);
    expect(stdout).toContain('2 problems.');
  });

  it('refuses a rule on a finding that record.detect leaves out', async () => {
    configure('record: {detect: [email_address]}');
    write('policies/chat.yaml', policy(`${engineers}\n${noCards}`));
    const { code, stdout } = await policies(['check']);
    expect(code).toBe(1);
    expect(stdout).toContain(': "credit_card" is never found: record.detect leaves it out');
  });

  it('says which name in record.detect is no detector', async () => {
    configure('record: {detect: [emial]}');
    write('policies/chat.yaml', policy(engineers));
    const { code, stderr } = await policies(['check']);
    expect(code).toBe(2);
    expect(stderr).toContain('record.detect: ');
  });

  it('warns of rules that can never matter and of those that no case tries; --strict fails on them', async () => {
    write(
      'policies/chat.yaml',
      policy(`${engineers}\n- {name: never, when: "false && true", then: deny}\n- {name: all, then: allow}`),
    );
    write('policies/chat.cases.yaml', cases('- {name: one, caller: {groups: []}, expect: {verdict: allow}}'));
    const { code, stdout } = await policies(['check']);
    expect(code).toBe(0);
    expect(stdout).toMatch(/unreachable: chat\/never: never matches: the condition is always false/);
    expect(stdout).toMatch(/shadowed: chat\/engineers: changes nothing: chat\/all allows all of it/);
    expect(stdout).toMatch(/untested: chat\/engineers: no case has it match/);
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

  it('says which rule could not be evaluated where a case is not as expected, and why', async () => {
    write('policies/chat.yaml', policy(`${engineers}\n- {name: long, when: "request.maxTokens > 5", then: deny}`));
    write(
      'policies/chat.cases.yaml',
      cases('- {name: a, expect: {verdict: allow, excludes: [long]}}\n- {name: b, expect: {verdict: deny}}'),
    );
    const report = join(home.folder, 'report.xml');
    const { stdout } = await policies(['test', '--junit', report]);
    const why = /^ {6}chat\/long failed: no_such_key at chat\.yaml:7:\d+$/gm;
    expect(stdout.match(why)).toHaveLength(1);
    expect(stdout).toContain('+ got       chat/engineers, chat/long (failed)');
    expect(readFileSync(report, 'utf8')).toContain('chat/long failed: no_such_key at chat.yaml:7:');
  });

  it('refuses two cases of one name in a file', async () => {
    write('policies/chat.yaml', policy(engineers));
    const one = '- {name: one, expect: {verdict: allow}}';
    write('policies/chat.cases.yaml', cases(`${one}\n${one}`));
    expect(await policies(['test'])).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(/chat\.cases\.yaml:6:\d+: cases\[1\]\.name: there are two cases "one"/),
    });
  });

  it('tells every problem of the cases with its place', async () => {
    write('policies/chat.yaml', policy(engineers));
    write('policies/chat.cases.yaml', cases('- {name: one, expct: {verdict: allow}}'));
    const { code, stderr } = await policies(['test']);
    expect(code).toBe(2);
    expect(stderr).toMatch(/policies\/chat\.cases\.yaml:5:\d+: cases\[0\]/);
    expect(stderr).toContain('expct');
    expect(stderr).toContain('docs/policy-tools.md has an example');
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
- {name: a new version, change: {kind: version, toVersion: "2"}, expect: {verdict: allow}}
- {name: a tool call, toolCall: {name: x}, expect: {stop: false, rules: []}}`),
    );
    expect((await policies(['test'])).stdout).toContain('5 passed, 0 failed. 3 of 4 rules');
  });

  it('knows by which operator something is masked, as eval does', async () => {
    write(
      'policies/chat.yaml',
      policy(`${engineers}
- {name: out, then: mask, detect: [email_address, credit_card], operators: {email_address: hash}}
- {name: in, then: mask, on: request, detect: [us_ssn], operator: pseudonym}
- {name: failed, on: response, when: 'response.status > 500', then: mask, detect: [jwt], operator: redact}`),
    );
    write(
      'policies/chat.cases.yaml',
      cases(`- name: good
  expect: {operators: {email_address: hash, credit_card: replace}, operatorsRequest: {us_ssn: pseudonym}}
- {name: an answer, response: {status: 503}, expect: {operators: {jwt: redact}}}
- {name: bad, expect: {operators: {email_address: mask, us_ssn: hash}}}`),
    );
    const { code, stdout } = await policies(['test']);
    expect(code).toBe(1);
    expect(stdout).toContain('2 passed, 1 failed.');
    expect(stdout).toContain(
      '  ✗ bad\n      operators.email_address\n        - expected  mask\n        + got       hash\n      operators.us_ssn\n        - expected  hash\n        + got       not masked\n',
    );
    const said = (await policies(['eval', '--groups', 'eng'])).stdout;
    expect(said).toMatch(/Masked in the answer +credit_card, email_address \(hash\)\n/);
    expect(said).toMatch(/Masked in the request +us_ssn \(pseudonym\)\n/);
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

describe('policy eval of a file', () => {
  const everything = `${engineers}
- {name: too-long, on: response, when: "response.bytes > 100", then: stop, message: Enough.}
- {name: tools, on: response, when: 'toolCall.name == "rm"', then: stop, mode: dryRun}
- {name: retire, on: lifecycle, when: 'change.kind == "retire"', then: requireApproval, approvers: [owners]}
- {name: any-change, on: lifecycle, then: allow}`;
  const evaluated = (text: string, ...args: readonly string[]) => {
    write('policies/chat.yaml', policy(everything));
    write('asked.yaml', text);
    return policies(['eval', join(home.folder, 'asked.yaml'), ...args]);
  };

  it('asks the rules on an answer', async () => {
    const long = await evaluated('response: {bytes: 200}');
    expect(long.code).toBe(1);
    expect(long.stdout).toMatch(/Verdict +stop\nBy +chat\/too-long\nMessage +Enough\./);
    expect(long.stdout).toContain('✓ chat/too-long (stop): matches');
    expect(long.stdout).toContain('chat/engineers (allow): not asked: it is about requests');
    const short = await evaluated('response: {bytes: 2}');
    expect(short.code).toBe(0);
    expect(short.stdout).toMatch(/Verdict +allow/);
    expect((await evaluated('toolCall: {name: rm}')).stdout).toContain('✓ chat/tools (stop, on trial): matches');
  });

  it('asks the rules on a change of a model', async () => {
    const { code, stdout } = await evaluated('change: {kind: retire}');
    expect(code).toBe(0);
    expect(stdout).toMatch(/Verdict +requireApproval\nApproval +chat\/retire by owners/);
    expect(stdout).toContain('chat/too-long (stop): not asked: it is about responses');
    const { decision } = JSON.parse((await evaluated('change: {kind: version}', '--json')).stdout);
    expect(decision).toMatchObject({ verdict: 'allow', rules: [{ rule: 'any-change' }] });
    expect((await evaluated('{change: {kind: version}, response: {}}')).stderr).toContain('change excludes response');
  });

  it('asks the smallest request of an API, of a model that takes it', async () => {
    const llama = '{name: llama, version: "1", upstream: "http://llama:8000", formats: [openai-chat]}';
    const tools =
      '{name: tools, version: "1", upstream: "http://tools:8000", formats: [mcp], match: {paths: [/tools]}}';
    write('models.yaml', `models:\n  - ${llama}\n  - ${tools}\n`);
    const { stdout } = await evaluated('caller: {groups: [eng]}', '--format', 'mcp');
    expect(stdout).toMatch(/Model +tools 1\nRequest +mcp, mcp,/);
    expect((await evaluated('{}', '--path', '/tools')).stdout).toMatch(/Model +tools 1/);
    expect((await evaluated('{}', '--format', 'mcp', '--model', 'llama')).stderr).toContain('path_not_admitted');
    expect((await evaluated('model: {name: llama, formats: [gemini]}')).stdout).toMatch(/Request +gemini, chat/);
    expect((await evaluated('{}', '--format', 'telex')).stderr).toContain('request.format');
  });
});

describe('policy backtest', () => {
  it('says how far back it goes by itself', async () => {
    expect((await policies(['backtest', '--help'])).stdout.replaceAll(/\s+/g, ' ')).toContain('(default: 7d)');
  });

  it.each(['1x', '0d', '7', 'd', '-1d', '1.5h'])('refuses to go back %s', async (since) => {
    const { code, stderr } = await policies(['backtest', `--since=${since}`]);
    expect(code).toBe(2);
    expect(stderr).toContain('It must be a whole number of s, m, h or d, such as 30m, 12h or 7d.');
  });
});
