/** What matches become by the options of `sallyport mask`: `--operator`, `--keep-last`, `--key-file`. */
import { InvalidArgumentError } from 'commander';
import type { Detector } from '../detect/detector.ts';
import { leastRevealing, type Operator, type OperatorType } from '../detect/operator.ts';
import { type Becomes, becomes, type MaskingKeys } from '../mask/operators.ts';
import { CliError, exitCodes, type Io } from './cli.ts';
import { type KeyOptions, maskingKeysOf } from './masking-key.ts';
import { detectorsNamed } from './piped-text.ts';

/** All but `pseudonym`: no answer comes in which values could be put back. */
const operatorNames = ['replace', 'redact', 'mask', 'hash', 'encrypt'] as const satisfies readonly OperatorType[];
type Named = (typeof operatorNames)[number];

/** `[name=]operator`; `name` undefined: what is named by no other. */
export interface Choice {
  readonly name: string | undefined;
  readonly operator: Named;
}

export interface OperatorOptions extends KeyOptions {
  readonly operator?: readonly Choice[];
  readonly keepLast?: number;
}

/** Those that are masked, and all that there are. */
interface Detectors {
  readonly chosen: readonly Detector[];
  readonly known: readonly Detector[];
}

/** One `--operator`, as a commander argument parser: several come with commas between them, or one after the other. */
export function operatorChoices(text: string, before: readonly Choice[] = []): readonly Choice[] {
  const choices = text.split(',').map((part): Choice => {
    const [, name, type] = /^(?:([^=]*)=)?([^=]*)$/.exec(part.trim()) ?? [];
    const operator = operatorNames.find((each) => each === type?.trim());
    if (operator === undefined || name === '')
      throw new InvalidArgumentError(
        `It must be one of ${operatorNames.join(', ')}, or NAME=OPERATOR with a detector or category.`,
      );
    return { name: name?.trim(), operator };
  });
  return [...before, ...choices];
}

/** What matches of each detector become. The key is read only where an operator needs it. */
export async function becomesOf(
  options: OperatorOptions,
  detectors: Detectors,
  io: Io,
): Promise<(id: string) => Becomes> {
  const choices = options.operator ?? [];
  if (options.keepLast !== undefined && !choices.some(({ operator }) => operator === 'mask'))
    throw new CliError(exitCodes.usage, 'Nothing is kept by --keep-last.', 'It is said of --operator mask.');
  const operators = operatorsOf(choices, detectors, options.keepLast ?? 4);
  const needsKey = [...operators.values()].some(({ type }) => type === 'hash' || type === 'encrypt');
  if (options.keyFile !== undefined && !needsKey)
    throw new CliError(exitCodes.usage, 'Nothing needs the --key-file.', 'It is for --operator hash and encrypt.');
  const keys = needsKey ? await keyOf(options, io) : undefined;
  return (id) => becomes(id, operators.get(id) ?? { type: 'replace' }, keys);
}

/** An id goes before a category or region, and that before the operator of all; of two alike, the one that reveals less. */
function operatorsOf(
  choices: readonly Choice[],
  { chosen, known }: Detectors,
  keepLast: number,
): ReadonlyMap<string, Operator> {
  const named = new Map<string, { readonly rank: number; readonly operator: Operator }>();
  for (const { name = 'all', operator: type } of choices) {
    const operator: Operator = type === 'mask' ? { type, keepLast, with: '*' } : { type };
    const meant = detectorsNamed([name], known).filter((detector) => chosen.includes(detector));
    if (meant.length === 0)
      throw new CliError(exitCodes.usage, `Nothing of ${name} is masked.`, '--detect says what is; without it, all.');
    for (const { id } of meant) {
      const rank = name === 'all' ? 0 : name === id ? 2 : 1;
      const other = named.get(id);
      if (other === undefined || other.rank < rank) named.set(id, { rank, operator });
      else if (other.rank === rank) named.set(id, { rank, operator: leastRevealing(other.operator, operator) });
    }
  }
  return new Map([...named].map(([id, { operator }]) => [id, operator]));
}

async function keyOf(options: OperatorOptions, io: Io): Promise<MaskingKeys> {
  if (options.keyFile !== undefined || options.config !== undefined) return (await maskingKeysOf(options, io))[0];
  throw new CliError(
    exitCodes.usage,
    'The operators hash and encrypt need a key.',
    'Name it with --key-file: 32 bytes in base64url, such as masking.key in the state folder of the gateway. Or name its --config.',
  );
}
