import { canonicalValue, MAX_VALUE_LENGTH, ValueHasher, valuesHeader } from '../detect/keyed-hash.ts';
import { secretReader } from '../gateway/secrets.ts';
import { type AddCommand, CliError, examples, exitCodes, type Io } from './cli.ts';
import { pipedIn, utf8Text, writeOut } from './piped-text.ts';

interface Options {
  readonly keyFile?: string;
  readonly keyEnv?: string;
}

/** `sallyport hash-values`: a file for `detectors[].values`, from values on standard input. */
export const hashValuesCommand: AddCommand = ({ command, io, action }) => {
  command
    .command('hash-values')
    .description('hash values (one a line on standard input) for a detector of exact values')
    .option('--key-file <file>', 'file that holds the key: at least 16 bytes, such as from `openssl rand -hex 32`')
    .option('--key-env <name>', 'environment variable that holds it')
    .addHelpText(
      'after',
      '\nThe output holds two hashes of each value under the key, and no value. Spellings that differ by case, white space,\nfull-width or invisible characters are one value. Empty lines and lines that begin with # are left out.',
    )
    .addHelpText(
      'after',
      examples(
        'sallyport hash-values --key-file values.key < customers.txt > customers.values',
        'SALLYPORT_VALUES_KEY=… sallyport hash-values --key-env SALLYPORT_VALUES_KEY < canaries.txt > canaries.values',
      ),
    )
    .action(action((options: Options) => hashValues(options, io)));
};

async function hashValues(options: Options, io: Io): Promise<number> {
  const hasher = await hasherOf(options, io);
  await writeOut(io, `${valuesHeader(hasher)}\n`);
  const seen = new Set<string>();
  let number = 0;
  let rest = '';
  const take = async (line: string): Promise<void> => {
    number++;
    const canonical = canonicalValue(line);
    if (canonical === '' || canonical.startsWith('#')) return;
    if (line.trim().length > MAX_VALUE_LENGTH)
      throw new CliError(
        exitCodes.failed,
        `Line ${number} is longer than a value may be (${MAX_VALUE_LENGTH} characters).`,
        'Shorten it, or leave it out.',
      );
    const hashed = hasher.line(canonical);
    if (seen.has(hashed)) return;
    seen.add(hashed);
    await writeOut(io, `${hashed}\n`);
  };
  for await (const text of utf8Text(pipedIn(io))) {
    const lines = (rest + text).split('\n');
    rest = lines.pop()!;
    for (const line of lines) await take(line);
  }
  if (rest !== '') await take(rest);
  io.stderr.write(`${seen.size} ${seen.size === 1 ? 'value' : 'values'} hashed.\n`);
  return exitCodes.ok;
}

async function hasherOf({ keyFile, keyEnv }: Options, io: Io): Promise<ValueHasher> {
  if ((keyFile === undefined) === (keyEnv === undefined))
    throw new CliError(exitCodes.usage, 'Say where the key is.', 'Either --key-file or --key-env; see --help.');
  const key = await secretReader(io.env)({ file: keyFile, env: keyEnv }).catch((error: unknown) => {
    const why = error instanceof Error ? error.message : String(error);
    throw new CliError(exitCodes.usage, `The key cannot be read: ${why}.`, 'Name another file or variable.', error);
  });
  try {
    return new ValueHasher(Buffer.from(key, 'utf8'));
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw new CliError(exitCodes.usage, `${error.message}.`, 'Make one: openssl rand -hex 32', error);
  }
}
