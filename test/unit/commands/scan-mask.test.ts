import { type ChildProcessWithoutNullStreams, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { afterEach, describe, expect, it } from 'vitest';
import { runCli } from '../../../src/commands/cli.ts';
import { maskCommand } from '../../../src/commands/mask.ts';
import { scanCommand } from '../../../src/commands/scan.ts';

const program = join(import.meta.dirname, '..', '..', '..', 'src', 'main.ts');

/** The command in this process, its input in chunks. */
async function piped(args: readonly string[], chunks: readonly (string | Buffer)[], isTTY = false) {
  let stdout = '';
  let stderr = '';
  const io = {
    stdin: Object.assign(Readable.from(chunks.map((chunk) => Buffer.from(chunk))), { isTTY }),
    stdout: { write: (text: string) => (stdout += Buffer.from(text)) },
    stderr: { write: (text: string) => (stderr += text) },
    env: {},
    user: 'ann',
  };
  const code = await runCli([scanCommand, maskCommand], args, io, '1.2.3');
  return { code, stdout, stderr };
}

const bytesOf = (text: string | Buffer) => [...Buffer.from(text)].map((byte) => Buffer.from([byte]));

const mail = 'Grüße 😀 an jane.doe@example.com,\r\nKonto DE89 3704 0044 0532 0130 00, Rechner 10.1.2.3.\n';

describe('scan', () => {
  it('says where each finding is, and covers most of it', async () => {
    const { code, stdout, stderr } = await piped(['scan'], [mail]);
    expect(code).toBe(0);
    expect(stdout.split('\n')).toEqual([
      expect.stringMatching(/^1:12 +email_address +jan•+com$/),
      expect.stringMatching(/^2:7 +iban_code +DE8•+ 00$/),
      expect.stringMatching(/^2:44 +ip_address +1•+3$/),
      '',
    ]);
    expect(stdout).not.toMatch(/doe@|3704|10\.1/);
    expect(stderr).toBe('3 found: 1 email_address, 1 iban_code, 1 ip_address.\n');
  });

  it('shows what it found where that is asked for, and nothing that moves the cursor', async () => {
    const { stdout } = await piped(['scan', '--show', '--detect', 'email_address'], ['jane\u200b@example.com']);
    expect(stdout).toMatch(/jane\\u200b@example\.com$/m);
  });

  it('prints one JSON array, in UTF-16 units or code points', async () => {
    const units = JSON.parse((await piped(['scan', '--json', '--detect', 'pii'], [mail])).stdout);
    expect(units.map(({ type, start, end }: Record<string, never>) => [type, mail.slice(start, end)])).toEqual([
      ['email_address', 'jane.doe@example.com'],
      ['iban_code', 'DE89 3704 0044 0532 0130 00'],
      ['ip_address', '10.1.2.3'],
    ]);
    const points = JSON.parse((await piped(['scan', '--json', '--code-points', '--show'], [mail])).stdout);
    for (const { start, end, text } of points) expect([...mail].slice(start, end).join('')).toBe(text);
    expect(JSON.parse((await piped(['scan', '--json'], [])).stdout)).toEqual([]);
  });

  it('finds the same however the input comes', async () => {
    const whole = await piped(['scan', '--json', '--code-points', '--show'], [mail]);
    expect(await piped(['scan', '--json', '--code-points', '--show'], bytesOf(mail))).toEqual(whole);
  });

  it('counts lines behind a match of any length, of which it keeps a beginning', async () => {
    const key = `-----BEGIN PRIVATE KEY-----\n${'MIIEvQIBADANBgkqhkiG9w0BAQEFAASC\n'.repeat(4000)}-----END PRIVATE KEY-----`;
    const text = `${key}\njane@example.com\n`;
    const found = JSON.parse((await piped(['scan', '--json', '--show'], text.match(/[\s\S]{1,5000}/g)!)).stdout);
    expect(found).toMatchObject([
      { type: 'private_key', start: 0, end: key.length, line: 1, column: 1 },
      { type: 'email_address', line: 4003, column: 1, text: 'jane@example.com' },
    ]);
    expect(found[0].text).toBe(key.slice(0, 256));
  });

  it.each([
    [['--exit-code'], mail, 1],
    [['--exit-code'], 'nothing', 0],
    [['--exit-code', '--jsonl'], '{"text":"jane@example.com"}', 1],
    [['--detect', 'emails'], mail, 2],
    [['--jsonl', '--show'], '', 2],
  ])('ends with %j and %j as documented', async (args, input, code) => {
    expect((await piped(['scan', ...args], [input])).code).toBe(code);
  });
});

describe('scan --jsonl', () => {
  const lines = (...values: readonly unknown[]) => values.map((value) => `${JSON.stringify(value)}\n`).join('');

  it('answers each line in its order, with its id', async () => {
    const input = lines({ id: 1, text: '😀 jane@example.com' }, { id: 'b', text: '' }, { text: '10.1.2.3' });
    const { code, stdout, stderr } = await piped(['scan', '--jsonl'], bytesOf(input));
    expect([code, stderr]).toEqual([0, '']);
    expect(stdout).toBe(
      lines(
        { id: 1, spans: [{ start: 3, end: 19, type: 'email_address' }] },
        { id: 'b', spans: [] },
        { spans: [{ start: 0, end: 8, type: 'ip_address' }] },
      ),
    );
    const points = await piped(['scan', '--jsonl', '--code-points'], [input]);
    expect(points.stdout).toContain('{"start":2,"end":18,');
  });

  it.each(['123456789012345678901234567890', '1.10', '{"a":[1e400,null]}', '"\\ud800"', 'null', '[]'])(
    'copies the id %s',
    async (id) => {
      const { stdout } = await piped(['scan', '--jsonl'], [`{"id": ${id}, "text": ""}`]);
      expect(stdout).toBe(`{"id":${id},"spans":[]}\n`);
    },
  );

  it.each([
    ['{"id":', 'it is not JSON'],
    ['["text"]', 'it is not a JSON object'],
    ['{"id":1}', 'its "text" is not a string'],
    ['{"id":1,"text":7}', 'its "text" is not a string'],
    [Buffer.from('{"text":"\xe9"}', 'latin1'), 'it is not valid UTF-8'],
  ])('names the bad line %s, reads the others, and ends with 1', async (bad, why) => {
    const { code, stdout, stderr } = await piped(
      ['scan', '--jsonl'],
      ['\ufeff{"id":1,"text":""}\r\n\n', bad, '\n{"id":4,"text":""}'],
    );
    expect(stderr).toBe(`line 3: ${why}\nA line could not be read; all others were.\n`);
    expect(stdout).toBe(lines({ id: 1, spans: [] }, { id: 4, spans: [] }));
    expect(code).toBe(1);
  });

  it('passes over a line that is too long', async () => {
    const part = 'a'.repeat(1024 * 1024);
    const { code, stderr, stdout } = await piped(
      ['scan', '--jsonl'],
      ['{"text":"', ...Array.from({ length: 65 }, () => part), '"}\n{"id":2,"text":""}\n'],
    );
    expect(stderr).toContain('line 1: it is longer than');
    expect([code, stdout]).toEqual([1, '{"id":2,"spans":[]}\n']);
  });
});

describe('mask', () => {
  const masked = 'Grüße 😀 an <EMAIL_ADDRESS>,\r\nKonto <IBAN_CODE>, Rechner <IP_ADDRESS>.\n';

  it.each([['whole', [mail]] as const, ['byte by byte', bytesOf(mail)] as const])(
    'masks its input, %s',
    async (_, chunks) => {
      expect(await piped(['mask'], chunks)).toEqual({ code: 0, stdout: masked, stderr: '' });
    },
  );

  it('masks what --detect names', async () => {
    const { stdout } = await piped(['mask', '--detect', ' network, iban_code'], [mail]);
    expect(stdout).toBe(masked.replace('<EMAIL_ADDRESS>', 'jane.doe@example.com'));
    const { code, stderr } = await piped(['mask', '--detect', 'ibn_code'], [mail]);
    expect(code).toBe(2);
    expect(stderr).toContain('did you mean "iban_code"?');
  });

  it.each([
    ['a wrong byte', Buffer.from('mail a@b.example \xff rest a@b.example', 'latin1'), 'mail <EMAIL_ADDRESS> ', 17],
    ['a wrong byte at the end', Buffer.from('ok\xe4', 'latin1'), 'ok', 2],
    ['a surrogate', Buffer.from([0x61, 0xed, 0xa0, 0x80, 0x62, 0x63]), 'a', 1],
    [
      'a wrong byte behind a replacement character',
      Buffer.from([0xef, 0xbf, 0xbd, 0xc0, 0x80, 0x41, 0x41]),
      '\ufffd',
      3,
    ],
  ])('ends on %s with 1, after the text before it', async (_, input, before, offset) => {
    for (const chunks of [[input], bytesOf(input)]) {
      const { code, stdout, stderr } = await piped(['mask'], chunks);
      expect([code, stdout]).toEqual([1, before]);
      expect(stderr).toContain(`not valid UTF-8 at byte ${offset}:`);
    }
  });

  it('gives nothing for nothing', async () => {
    expect(await piped(['mask'], [])).toEqual({ code: 0, stdout: '', stderr: '' });
  });

  it('tells whoever sits at a terminal that it reads', async () => {
    expect((await piped(['mask'], ['a\n'], true)).stderr).toContain('Ctrl-D');
  });
});

describe('the programs', () => {
  const running: ChildProcessWithoutNullStreams[] = [];
  const start = (...args: string[]) => {
    const child = spawn(process.execPath, [program, ...args]);
    running.push(child);
    // It is killed while its input is written.
    child.stdin.on('error', () => {});
    return child;
  };
  afterEach(() => {
    for (const child of running.splice(0)) child.kill('SIGKILL');
  });
  const next = async (child: ChildProcessWithoutNullStreams): Promise<string> =>
    String((await once(child.stdout, 'data'))[0]);

  it('write what is decided while the input is open', async () => {
    const mask = start('mask');
    mask.stdin.write('Dear jane@example.com, your ');
    expect(await next(mask)).toBe('Dear <EMAIL_ADDRESS>, your ');
    mask.stdin.write('card 4111 1111 ');
    expect(await next(mask)).toBe('card ');
    mask.stdin.end('1111 1111');
    expect(await next(mask)).toBe('<CREDIT_CARD>');
    expect(await once(mask, 'close')).toEqual([0, null]);

    const scan = start('scan', '--jsonl');
    scan.stdin.write('{"id":1,"text":"10.1.2.3"}\n{"id":2,');
    expect(JSON.parse(await next(scan))).toMatchObject({ id: 1 });
    scan.stdin.end('"text":""}');
    expect(JSON.parse(await next(scan))).toEqual({ id: 2, spans: [] });
    expect(await once(scan, 'close')).toEqual([0, null]);
  });

  it('end quietly when their reader has enough', async () => {
    const { stdout, stderr, status } = spawnSync(
      'sh',
      ['-c', `yes 'Mail jane@example.com to 10.1.2.3' | ${process.execPath} ${program} mask | head -n 2`],
      { encoding: 'utf8', timeout: 15_000 },
    );
    expect({ stdout, stderr, status }).toEqual({
      stdout: 'Mail <EMAIL_ADDRESS> to <IP_ADDRESS>\n'.repeat(2),
      stderr: '',
      status: 0,
    });
  });

  it('take no more of the input than their reader takes of the output', async () => {
    const mask = start('mask');
    let written = 0;
    const line = 'Nothing in here that could be masked.\n'.repeat(1000);
    mask.stdin.write(line);
    await next(mask);
    mask.stdout.pause();
    const more = () => {
      while (written < 64 * 1024 * 1024) {
        written += line.length;
        if (!mask.stdin.write(line)) return;
      }
    };
    mask.stdin.on('drain', more);
    more();
    // Until nothing moves any more: the pipes are full.
    for (let before = -1; before !== written; ) {
      before = written;
      await new Promise((resolve) => setTimeout(resolve, 500));
    }
    expect(written).toBeLessThan(8 * 1024 * 1024);
  });

  it('end on Ctrl-C', async () => {
    const mask = start('mask');
    mask.stdin.write('begun ');
    await next(mask);
    mask.kill('SIGINT');
    expect(await once(mask, 'close')).toEqual([null, 'SIGINT']);
  });
});
