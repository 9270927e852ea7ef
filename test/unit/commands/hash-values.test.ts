import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { runCli } from '../../../src/commands/cli.ts';
import { hashValuesCommand } from '../../../src/commands/hash-values.ts';
import { maskCommand } from '../../../src/commands/mask.ts';
import { scanCommand } from '../../../src/commands/scan.ts';

let folder = '';
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'sallyport-values-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

const at = (name: string) => join(folder, name);

async function run(args: readonly string[], input: string, env: Readonly<Record<string, string>> = {}) {
  let stdout = '';
  let stderr = '';
  const io = {
    stdin: Object.assign(Readable.from([Buffer.from(input)]), { isTTY: false }),
    stdout: { write: (text: string) => (stdout += Buffer.from(text)) },
    stderr: { write: (text: string) => (stderr += text) },
    env,
    user: 'ann',
  };
  const code = await runCli([scanCommand, maskCommand, hashValuesCommand], args, io, '1.2.3');
  return { code, stdout, stderr };
}

const config = (detectors: string) =>
  writeFileSync(
    at('sallyport.yaml'),
    `identity: {providers: [{name: p, issuer: "https://issuer.example", audience: x, algorithms: [RS256]}]}\ndetectors:\n${detectors}`,
  );

describe('hash-values', () => {
  it('makes a file that a detector of the configuration finds the values with', async () => {
    writeFileSync(at('key'), 'a key of more than sixteen bytes\n');
    const hashed = await run(['hash-values', '--key-file', at('key')], '# ours\nACME-4711\r\nacme-4711\n\nbeta-0815');
    expect(hashed).toMatchObject({ code: 0, stderr: '2 values hashed.\n' });
    expect(hashed.stdout).not.toMatch(/acme|beta/i);
    writeFileSync(at('list'), hashed.stdout);
    config('  - {id: known_customer, values: {file: list, keyFile: key}}\n  - {id: project, words: [Falcon]}\n');
    const masked = await run(
      ['mask', '--config', at('sallyport.yaml')],
      'Falcon: ＡＣＭＥ-4711, acme-4712, j@example.com',
    );
    expect(masked).toMatchObject({ code: 0, stdout: '<PROJECT>: <KNOWN_CUSTOMER>, acme-4712, <EMAIL_ADDRESS>' });
    const scanned = await run(['scan', '--config', at('sallyport.yaml'), '--detect', 'project'], 'the falcon');
    expect(scanned.stdout).toContain('project');
  });

  it.each([
    [[], {}, 'Say where the key is.'],
    [['--key-env', 'NONE'], {}, 'NONE is not set'],
    [['--key-env', 'K'], { K: 'short' }, 'at least 16 bytes'],
    [['--key-file', '/nonexistent/key'], {}, 'cannot be read'],
  ])('says what is wrong with %j', async (options, env, message) => {
    const { code, stdout, stderr } = await run(['hash-values', ...options], 'a', env as Record<string, string>);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toContain(message);
  });

  it('says which line is too long', async () => {
    const { code, stderr } = await run(['hash-values', '--key-env', 'K'], `a\n${'b'.repeat(300)}`, {
      K: 'k'.repeat(16),
    });
    expect(code).toBe(1);
    expect(stderr).toContain('Line 2');
  });
});

describe('a configuration with a wrong detector', () => {
  it('is refused with its path and what is wrong', async () => {
    config('  - {id: mine, pattern: "a+"}\n  - {id: jwt, words: [b]}\n');
    const { code, stderr } = await run(['scan', '--config', at('sallyport.yaml')], 'x');
    expect(code).toBe(2);
    expect(stderr).toMatch(
      /detectors\[0\]\.pattern: a quantifier without a maximum.*\n.*detectors\[1\]\.id: "jwt" is built in/,
    );
  });
});
