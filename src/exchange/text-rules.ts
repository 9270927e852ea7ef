/**
 * Which strings of a body are text. Everything is, unless a format's table names it: a field that we have never heard of
 * is masked like content. The table is a list of paths (`choices[#].delta.role`) with a treatment each.
 */
import type { Work } from './pace.ts';

export type Treatment =
  /** A piece of one text that goes on in later events (in a body that is not a stream: one text). The default. */
  | 'channel'
  /** The same, and the text is JSON (tool-call arguments): matched on its decoded strings, stays valid JSON. */
  | 'json'
  /** A text that is complete in each event: nothing of it is held for a later one. */
  | 'whole'
  /** Encoded media: left alone where it is long and has nothing but base64 characters, else `whole`. */
  | 'binary'
  /** `binary` that the model's server made and alone can read: signatures, encrypted content. */
  | 'sealed'
  /** Ids, roles, enumerations, parameters: no words, but masked like `whole`. Small integers are left alone. */
  | 'structural'
  /** `structural`, and the number is a time since 1970: up to 12 digits are left alone. */
  | 'time'
  /** `structural`; not null and not empty: the channels of the object that it is in end with this event. */
  | 'end'
  /** Not null: an error, with which all channels end. Its strings are `whole`. */
  | 'error'
  /** Token alternatives (logprobs, token ids): replaced by null when masking. */
  | 'drop'
  /** Numbers that a model computes (embeddings): fractions of few digits before the point are left alone. Strings are `whole`. */
  | 'vector'
  /** Numbers as the model reports them: small integers are left alone. Strings are `whole`. */
  | 'counts'
  /** `counts`, and the number is the usage that the record keeps. */
  | 'input-tokens'
  | 'output-tokens';

/** What a value means for the stream, or for the text beside it. */
export type Marker =
  /** The channels of the object that it is in end with this event. */
  | 'end'
  /** The stream is over with this event: all channels end, and nothing after it is delivered. */
  | 'terminal'
  /** This item of a joined array is no part of the text of the others, but of a second one (thoughts beside the answer). */
  | 'aside';

/** A structural field of which some values (of strings, `true` and `false`) mean more. */
export type Markers = Readonly<Record<string, Marker>>;

export interface RuleNode {
  readonly treatment: Treatment;
  readonly markers: ReadonlyMap<string, Marker> | undefined;
  readonly members: ReadonlyMap<string, RuleNode>;
  /** What holds for a member that the table does not name. */
  readonly otherMembers: RuleNode;
  readonly items: RuleNode;
  /** The items of this array carry an `index` field, and it, not their place, says which is meant. */
  readonly indexed: boolean;
  /** The items of this array are pieces of one text, and go on in later events: they share their channels. */
  readonly joined: boolean;
  /** Of the outermost object: its own field `index` says which text an event goes on with. */
  readonly ownIndex: boolean;
  /** The name under which the channels of this object go on in other events, where it is another one. */
  readonly alias: string | undefined;
}

interface Draft {
  treatment: Treatment;
  markers: ReadonlyMap<string, Marker> | undefined;
  members: Map<string, Draft>;
  otherMembers: Draft;
  items: Draft;
  indexed: boolean;
  joined: boolean;
  ownIndex: boolean;
  alias: string | undefined;
}

const plain = { markers: undefined, indexed: false, joined: false, ownIndex: false, alias: undefined } as const;

export interface RuleOptions {
  /** Each event has a field `index` of its own, which says which text it goes on with (Anthropic). */
  readonly ownIndex?: boolean;
  /** Member of an event → the member whose texts it begins: they share their channels. */
  readonly aliases?: Readonly<Record<string, string>>;
}

/** Names that mean an enumeration or an id wherever they stand: complete in each event. */
const wholeNames = ['type', 'id', 'object', 'role', 'status', 'name', 'format'];

const whole = deep('whole');
const unknown = deep('channel');
addWholeNames(unknown);

/**
 * Compiles a table. `a.b` a member, `a[]` items of an array, `a[#]` items with an index field, `a[+]` items that are
 * pieces of one text, `a.**` everything below `a`.
 */
export function textRules(
  table: Readonly<Record<string, Treatment | Markers>>,
  { ownIndex = false, aliases = {} }: RuleOptions = {},
): RuleNode {
  const drafts: Draft[] = [];
  const draft = (): Draft => {
    const node: Draft = {
      ...plain,
      treatment: 'channel',
      members: new Map(),
      otherMembers: unknown,
      items: unknown,
    };
    drafts.push(node);
    return node;
  };
  const root = draft();
  root.ownIndex = ownIndex;
  for (const [path, said] of Object.entries(table)) {
    const treatment = typeof said === 'string' ? said : 'structural';
    let node = root;
    for (const step of path.match(/\[[#+]?\]|\*\*|[^.[]+/g) ?? []) {
      if (step === '**') node.otherMembers = node.items = deep(treatment);
      else if (step.startsWith('[')) {
        if (node.items === unknown) node.items = draft();
        node.indexed ||= step === '[#]';
        node.joined ||= step === '[+]';
        node = node.items;
      } else {
        const next = node.members.get(step) ?? draft();
        node.members.set(step, next);
        node = next;
      }
    }
    node.treatment = treatment;
    if (typeof said !== 'string') node.markers = new Map(Object.entries(said));
  }
  for (const [name, alias] of Object.entries(aliases)) root.members.get(name)!.alias = alias;
  for (const node of drafts) if (node.otherMembers === unknown) addWholeNames(node);
  return root;
}

function addWholeNames(node: Draft): void {
  for (const name of wholeNames) if (!node.members.has(name)) node.members.set(name, whole);
}

/** The rule for a member of an object whose rule is `node`. */
export function memberRule(node: RuleNode, name: string): RuleNode {
  return node.members.get(name) ?? node.otherMembers;
}

/** Whether the table says nothing of this place, and of none around it but by its name. */
export function isUnnamed(node: RuleNode): boolean {
  return node === unknown;
}

/** One rule for a value and all that is in it. */
function deep(treatment: Treatment): Draft {
  const node = { ...plain, treatment, members: new Map<string, Draft>() } as Draft;
  node.otherMembers = node;
  node.items = node;
  return node;
}

const shortestBinary = 256;
/** Characters looked at in one step: some tenth of a millisecond. */
const sliceLength = 64 * 1024;

/** Has the form of encoded media. Of an answer such a string is masked nowhere; of a request see encoded-text.ts. */
export function* isMedia(treatment: Treatment, text: string): Work<boolean> {
  return isEncoded(treatment) && text.length >= shortestBinary && (yield* isBase64(text));
}

/** Whether the format has base64 in this place. */
export function isEncoded(treatment: Treatment): boolean {
  return treatment === 'binary' || treatment === 'sealed';
}

export function isStructural(treatment: Treatment): boolean {
  return treatment === 'structural' || treatment === 'time' || treatment === 'end';
}

/** Too few digits for a card, an account or a phone number. */
const smallInteger = /^-?[0-9]{1,9}$/;
/** Seconds since 1970. A card number has 13 digits at least. */
const time = /^[0-9]{1,12}$/;

/** At most four digits before the point: a component of a vector, no card or account. */
const component = /^-?[0-9]{1,4}(?:\.[0-9]{1,24})?(?:[eE][+-]?[0-9]{1,3})?$/;

/** Whether a number, as it is written, is left as it is. What is no small integer is masked as a text. */
export function numberLeftAlone(treatment: Treatment, raw: string): boolean {
  switch (treatment) {
    case 'time':
      return time.test(raw);
    case 'vector':
      return component.test(raw);
    case 'structural':
    case 'end':
    case 'counts':
    case 'input-tokens':
    case 'output-tokens':
      return smallInteger.test(raw);
    default:
      return false;
  }
}

const dataUrl = /^data:(?:[\w.+-]{1,64}\/[\w.+-]{1,128})?(?:;[\w=.+-]{1,64}){0,4};base64,/i;

/** The whole text is checked: a note in clear text behind an image's beginning is text. */
function* isBase64(text: string): Work<boolean> {
  if (text.length > sliceLength) yield 'long';
  let at = dataUrl.exec(text.slice(0, 1024))?.[0].length ?? 0;
  for (;;) {
    const end = Math.min(text.length, at + sliceLength);
    for (; at < end; at++) if (base64[text.charCodeAt(at)] !== 1) return false;
    if (at === text.length) return true;
    yield;
  }
}

/** Of a piece of a text that began as media. */
export function hasOnlyBase64(piece: string): boolean {
  for (let at = 0; at < piece.length; at++) if (base64[piece.charCodeAt(at)] !== 1) return false;
  return true;
}

const base64 = new Uint8Array(128);
for (const c of 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/-_=') base64[c.charCodeAt(0)] = 1;
