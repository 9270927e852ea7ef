import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { runCli } from '../../../src/commands/cli.ts';
import { decryptCommand } from '../../../src/commands/decrypt.ts';
import { maskCommand } from '../../../src/commands/mask.ts';
import { project } from './run.ts';

const keyFile = join(mkdtempSync(join(tmpdir(), 'sallyport-mask-')), 'masking.key');
writeFileSync(keyFile, `${Buffer.alloc(32, 7).toString('base64url')}\n`);

async function run(args: readonly string[], input: string, cut = 7) {
  let stdout = '';
  let stderr = '';
  const bytes = Buffer.from(input);
  const chunks = Array.from({ length: Math.ceil(bytes.length / cut) }, (_, i) =>
    bytes.subarray(i * cut, (i + 1) * cut),
  );
  const io = {
    stdin: Object.assign(Readable.from(chunks), { isTTY: false }),
    stdout: { write: (text: string) => (stdout += Buffer.from(text)) },
    stderr: { write: (text: string) => (stderr += text) },
    env: {},
    user: 'ann',
  };
  const code = await runCli([maskCommand, decryptCommand], args, io, '1.2.3');
  return { code, stdout, stderr };
}

const masked = async (args: readonly string[], input: string) => {
  const { code, stdout, stderr } = await run(['mask', ...args], input);
  expect([code, stderr]).toEqual([0, '']);
  return stdout;
};

const mail = 'Write to jane.doe@example.com, card 4111 1111 1111 1111, host 10.1.2.3.';

describe('mask --operator', () => {
  it.each<[string[], string]>([
    [['replace'], 'Write to <EMAIL_ADDRESS>, card <CREDIT_CARD>, host <IP_ADDRESS>.'],
    [['redact'], 'Write to , card , host .'],
    [['mask'], 'Write to ****.***@******e.com, card **** **** **** 1111, host **.*.*.3.'],
    [['mask', '--keep-last', '2'], 'Write to ****.***@*******.*om, card **** **** **** **11, host **.*.*.3.'],
    [['mask', '--keep-last', '0'], 'Write to ****.***@*******.***, card **** **** **** ****, host **.*.*.*.'],
    [['credit_card=mask'], 'Write to <EMAIL_ADDRESS>, card **** **** **** 1111, host <IP_ADDRESS>.'],
    [['redact', '--operator', 'finance=mask'], 'Write to , card **** **** **** 1111, host .'],
    [['finance=mask,redact'], 'Write to , card **** **** **** 1111, host .'],
    // An id goes before its category, whichever comes first; of two alike, the one that lets less be known.
    [
      ['credit_card=mask,finance=redact,network=replace,email_address=replace'],
      'Write to <EMAIL_ADDRESS>, card **** **** **** 1111, host <IP_ADDRESS>.',
    ],
    [['mask,redact'], 'Write to , card , host .'],
  ])('%j', async (operator, expected) => {
    expect(await masked(['--operator', ...operator], mail)).toBe(expected);
  });

  it('hashes equal values equally, in whatever characters they are written, and differently with another key', async () => {
    const args = ['--operator', 'hash', '--key-file', keyFile];
    const one = await masked(args, 'card 4111 1111 1111 1111');
    expect(one).toMatch(/^card <CREDIT_CARD:[0-9a-f]{16}>$/);
    expect(await masked(args, 'card ４１１１ 1111 1111 1111')).toBe(one);
    const { file, folder } = project('masking: {key: {file: now.key}}\n');
    writeFileSync(join(folder, 'now.key'), Buffer.alloc(32, 8).toString('base64url'));
    const other = await masked(['--operator', 'hash', '--config', file], 'card 4111 1111 1111 1111');
    expect(other).toMatch(/^card <CREDIT_CARD:[0-9a-f]{16}>$/);
    expect(other).not.toBe(one);
  });

  it('encrypts what decrypt puts back', async () => {
    const text = `Grüße 😀 ${mail}`;
    const out = await masked(['--operator', 'encrypt', '--key-file', keyFile], text);
    expect(out).toMatch(/<EMAIL_ADDRESS:enc:v1:.*<CREDIT_CARD:enc:v1:.*<IP_ADDRESS:enc:v1:/);
    expect(out).not.toMatch(/jane|4111|10\.1/);
    expect(await run(['decrypt', '--key-file', keyFile], out)).toEqual({ code: 0, stdout: text, stderr: '' });
  });

  it.each<[string[], string]>([
    [['--operator', 'hash'], 'need a key'],
    [['--operator', 'secrets=encrypt'], 'need a key'],
    [['--operator', 'hash', '--key-file', join(keyFile, 'none')], 'cannot be read (ENOTDIR)'],
    [['--operator', 'hash', '--key-file', import.meta.filename], '--key-file is not 32 bytes in base64url'],
    [['--operator', 'mask', '--key-file', keyFile], 'Nothing needs the --key-file'],
    [['--operator', 'redact', '--keep-last', '2'], 'Nothing is kept by --keep-last'],
    [['--operator', 'mask', '--keep-last', '65'], 'a whole number from 0 to 64'],
    [['--operator', 'hide'], 'one of replace, redact, mask, hash, encrypt'],
    [['--operator', 'pseudonym'], 'one of replace, redact, mask, hash, encrypt'],
    [['--operator', '=mask'], 'NAME=OPERATOR'],
    [['--operator', 'a=b=mask'], 'NAME=OPERATOR'],
    [['--operator', 'ibn_code=mask'], 'did you mean "iban_code"?'],
    [['--operator', 'secrets=redact', '--detect', 'finance'], 'Nothing of secrets is masked'],
  ])('%j ends with 2, and says %s', async (args, says) => {
    const { code, stdout, stderr } = await run(['mask', ...args], mail);
    expect([code, stdout]).toEqual([2, '']);
    expect(stderr).toContain(says);
  });
});
