/**
 * Reads the plain part of XML 1.0 in which SAML is written, and nothing else. What it takes, every XML parser reads alike;
 * what parsers are known to read differently (document types, entities, processing instructions, CDATA, comments, odd line
 * ends, names that are not ASCII) is refused before any of them sees it.
 */

export interface XmlElement {
  /** Name without its prefix. */
  readonly local: string;
  /** Namespace; empty: none. */
  readonly namespace: string;
  /** By name; of attributes in a namespace by `{namespace}name`. Declarations of namespaces are not among them. */
  readonly attributes: ReadonlyMap<string, string>;
  readonly children: readonly XmlElement[];
  /** Text of an element without children, references resolved; of one with children empty (only white space may be there). */
  readonly text: string;
}

/** Not XML that we read. `message` is in our own words, without anything of the document. */
export class XmlProblem extends Error {
  override readonly name = 'XmlProblem';
}

export interface XmlOptions {
  /** In metadata, which people write by hand, a comment may stand between elements. Never inside a text. */
  readonly comments: 'refused' | 'skipped';
  /** Default: as many as there are. */
  readonly maxElements?: number;
  /** Of namespaces, in the whole document. Default: as many as there are. */
  readonly maxDeclarations?: number;
}

/** How the signed part of a message is read; canonical XML repeats declarations. 5000 elements are more than an assertion with a thousand groups has. */
export const provenOptions: XmlOptions = { comments: 'refused', maxElements: 5000 };
/** What anybody may send. Some IdPs declare `xs` and `xsi` at each value: that is enough for a thousand groups. */
export const messageOptions: XmlOptions = { ...provenOptions, maxDeclarations: 2500 };

const maxDepth = 64;
/** Of one element, its declarations of namespaces included: libraries compare each with each. */
const maxAttributes = 64;
/** Canonical XML repeats a namespace in each element that needs it: a long one makes much of little. */
const maxNamespaceLength = 256;
/** In force at one place. */
const maxNamespaces = 100;
const xmlNamespace = 'http://www.w3.org/XML/1998/namespace';
const xmlnsNamespace = 'http://www.w3.org/2000/xmlns/';

/** Controls, and what some parsers take for line ends or byte order marks (XML 1.0 §2.2, XML 1.1 §2.11). */
const oddCharacter = /(?![\t\n])\p{Cc}|[\u2028\u2029\ufeff\ufffe\uffff]|\p{Cs}/u;
const declaration =
  /<\?xml version=(["'])1\.0\1(?: encoding=(["'])[Uu][Tt][Ff]-8\2)?(?: standalone=(["'])(?:yes|no)\3)? ?\?>/y;
const openTag = /<([A-Za-z_][\w.-]*)(?::([A-Za-z_][\w.-]*))?/y;
const attribute = /[ \t\n]+([A-Za-z_][\w.-]*)(?::([A-Za-z_][\w.-]*))?[ \t\n]*=[ \t\n]*(?:"([^"<]*)"|'([^'<]*)')/y;
const tagEnd = /[ \t\n]*(\/?)>/y;
/** White space before the > is XML, and xmldom stumbles over it. */
const closeTag = /<\/([A-Za-z_][\w.:-]*)>/y;
const reference = /&([^;]{0,9};)?/g;
const blank = /^[ \t\n\r]*$/;
const named: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" };

interface Open {
  readonly name: string;
  readonly local: string;
  readonly namespace: string;
  readonly attributes: ReadonlyMap<string, string>;
  readonly scope: ReadonlyMap<string, string>;
  readonly children: XmlElement[];
  text: string;
  hasComment: boolean;
}

/** Line ends as XML wants them (XML 1.0 §2.11): what is signed and read has line feeds only. A lone CR stays, and is refused. */
export const normalizeLineEnds = (text: string): string => text.replaceAll('\r\n', '\n');

/**
 * Reads a document whose line ends are normalized.
 *
 * @throws XmlProblem
 */
export function readXml(text: string, options: XmlOptions): XmlElement {
  const odd = oddCharacter.exec(text);
  if (odd !== null) throw new XmlProblem(`there is a character that parsers read differently, at ${odd.index}`);
  return new Reader(text, options).read();
}

class Reader {
  readonly #text: string;
  readonly #options: XmlOptions;
  readonly #open: Open[] = [];
  readonly #ids = new Set<string>();
  #at = 0;
  #elements = 0;
  #declarations = 0;
  #root: XmlElement | undefined;

  constructor(text: string, options: XmlOptions) {
    this.#text = text;
    this.#options = options;
  }

  read(): XmlElement {
    this.#match(declaration);
    while (this.#at < this.#text.length) {
      if (this.#text.charCodeAt(this.#at) !== 0x3c) this.#readText();
      else if (this.#text.startsWith('</', this.#at)) this.#readClose();
      else if (this.#text.startsWith('<!--', this.#at)) this.#readComment();
      else if (this.#text.startsWith('<!DOCTYPE', this.#at)) throw this.#problem('there is a DOCTYPE');
      else if (this.#text.startsWith('<![CDATA[', this.#at)) throw this.#problem('there is a CDATA section');
      else if (this.#text.startsWith('<?', this.#at)) throw this.#problem('there is a processing instruction');
      else this.#readOpen();
    }
    if (this.#open.length > 0 || this.#root === undefined) throw this.#problem('the document ends too early');
    return this.#root;
  }

  #problem(what: string): XmlProblem {
    return new XmlProblem(`${what}, at ${this.#at}`);
  }

  /** The sticky pattern's match here, which is then behind us. */
  #match(pattern: RegExp): RegExpExecArray | null {
    pattern.lastIndex = this.#at;
    const found = pattern.exec(this.#text);
    if (found !== null) this.#at = pattern.lastIndex;
    return found;
  }

  #readText(): void {
    const end = this.#text.indexOf('<', this.#at);
    const raw = this.#text.slice(this.#at, end === -1 ? undefined : end);
    const parent = this.#open.at(-1);
    if (raw.includes(']]>')) throw this.#problem('there is ]]> in a text');
    if (parent === undefined) {
      if (!blank.test(raw)) throw this.#problem('there is text outside the document element');
    } else parent.text += this.#resolve(raw);
    this.#at += raw.length;
  }

  /** References to the five predefined entities and to characters (XML 1.0 §4.1, §4.6). */
  #resolve(raw: string): string {
    if (!raw.includes('&')) return raw;
    return raw.replace(reference, (_all, body: string | undefined) => {
      const name = body?.slice(0, -1) ?? '';
      const character = Object.hasOwn(named, name) ? named[name] : characterOf(name);
      if (character === undefined) throw this.#problem('there is a reference that is not to a plain character');
      return character;
    });
  }

  #readComment(): void {
    const end = this.#text.indexOf('--', this.#at + 4);
    if (this.#options.comments === 'refused') throw this.#problem('there is a comment');
    if (end === -1 || this.#text.charAt(end + 2) !== '>') throw this.#problem('a comment does not end well');
    const parent = this.#open.at(-1);
    if (parent !== undefined) parent.hasComment = true;
    this.#at = end + 3;
  }

  #readOpen(): void {
    const tag = this.#match(openTag);
    if (tag === null) throw this.#problem('there is markup that is not plain XML');
    const parent = this.#open.at(-1);
    if (parent === undefined && this.#root !== undefined) throw this.#problem('there is a second document element');
    if (this.#open.length >= maxDepth) throw this.#problem(`it is nested deeper than ${maxDepth}`);
    this.#elements += 1;
    if (this.#elements > (this.#options.maxElements ?? Number.POSITIVE_INFINITY))
      throw this.#problem('there are too many elements');
    const written: Written[] = [];
    for (let found = this.#match(attribute); found !== null; found = this.#match(attribute)) {
      const [, first = '', second, double, single = ''] = found;
      // XML 1.0 §3.3.3
      const value = this.#resolve((double ?? single).replace(/[\t\n]/g, ' '));
      written.push(second === undefined ? ['', first, value] : [first, second, value]);
      if (written.length > maxAttributes) throw this.#problem('an element has too many attributes');
    }
    const end = this.#match(tagEnd);
    if (end === null) throw this.#problem('a tag is not plain XML');
    const [prefix, local] = tag[2] === undefined ? ['', tag[1] ?? ''] : [tag[1] ?? '', tag[2]];
    const scope = this.#declare(parent?.scope ?? noScope, written);
    const element: Open = {
      name: prefix === '' ? local : `${prefix}:${local}`,
      local,
      namespace: this.#namespace(scope, prefix),
      attributes: this.#attributes(scope, written),
      scope,
      children: [],
      text: '',
      hasComment: false,
    };
    this.#open.push(element);
    if (end[1] === '/') this.#close();
  }

  #declare(outer: ReadonlyMap<string, string>, written: readonly Written[]): ReadonlyMap<string, string> {
    const declared = new Map<string, string>();
    for (const [prefix, local, value] of written) {
      if (prefix !== 'xmlns' && !(prefix === '' && local === 'xmlns')) continue;
      const name = prefix === '' ? '' : local;
      if (declared.has(name)) throw this.#problem('a namespace is declared twice');
      // Namespaces in XML 1.0 §2.2, §3
      if (name.toLowerCase().startsWith('xml') || value === xmlNamespace || value === xmlnsNamespace)
        throw this.#problem('a reserved namespace is declared');
      if (name !== '' && value === '') throw this.#problem('a prefix is declared for no namespace');
      if (value.length > maxNamespaceLength) throw this.#problem('a namespace is too long');
      declared.set(name, value);
    }
    if (declared.size === 0) return outer;
    this.#declarations += declared.size;
    if (this.#declarations > (this.#options.maxDeclarations ?? Number.POSITIVE_INFINITY))
      throw this.#problem('namespaces are declared too often');
    const scope = new Map([...outer, ...declared]);
    if (scope.size > maxNamespaces) throw this.#problem('there are too many namespaces');
    return scope;
  }

  #namespace(scope: ReadonlyMap<string, string>, prefix: string): string {
    const namespace = scope.get(prefix);
    if (namespace === undefined) throw this.#problem('a prefix is not declared');
    return namespace;
  }

  #attributes(scope: ReadonlyMap<string, string>, written: readonly Written[]): ReadonlyMap<string, string> {
    const attributes = new Map<string, string>();
    for (const [prefix, local, value] of written) {
      if (prefix === 'xmlns' || (prefix === '' && local === 'xmlns')) continue;
      const key = prefix === '' ? local : `{${this.#namespace(scope, prefix)}}${local}`;
      if (attributes.has(key)) throw this.#problem('an attribute is there twice');
      attributes.set(key, value);
      // In whatever namespace and case: a signature refers to one of them, and libraries differ in which they look at.
      if (local.toLowerCase() !== 'id') continue;
      if (this.#ids.has(value)) throw this.#problem('an ID is there twice');
      this.#ids.add(value);
    }
    return attributes;
  }

  #readClose(): void {
    const tag = this.#match(closeTag);
    if (tag === null || tag[1] !== this.#open.at(-1)?.name) throw this.#problem('an end tag does not fit');
    this.#close();
  }

  #close(): void {
    const closed = this.#open.pop();
    if (closed === undefined) throw this.#problem('an end tag does not fit');
    const { local, namespace, attributes, children, text, hasComment } = closed;
    const isBlank = blank.test(text);
    if (children.length > 0 && !isBlank) throw this.#problem('there is text between elements');
    if (hasComment && !isBlank) throw this.#problem('there is a comment inside a text');
    const element: XmlElement = { local, namespace, attributes, children, text: children.length > 0 ? '' : text };
    const parent = this.#open.at(-1);
    if (parent === undefined) this.#root = element;
    else parent.children.push(element);
  }
}

type Written = readonly [prefix: string, local: string, value: string];

const noScope: ReadonlyMap<string, string> = new Map([
  ['', ''],
  ['xml', xmlNamespace],
]);

function characterOf(name: string): string | undefined {
  const found = /^#(?:x([0-9A-Fa-f]{1,6})|([0-9]{1,7}))$/.exec(name);
  if (found === null) return undefined;
  const code = found[1] === undefined ? Number(found[2]) : Number.parseInt(found[1], 16);
  if (code > 0x10_ffff) return undefined;
  const character = String.fromCodePoint(code);
  // A reference to CR is what canonical XML writes for one: it is no line end (and values with one are refused).
  return code !== 0x0d && oddCharacter.test(character) ? undefined : character;
}

/** The children with that name. */
export const childrenOf = (parent: XmlElement, namespace: string, local: string): readonly XmlElement[] =>
  parent.children.filter((child) => child.namespace === namespace && child.local === local);

/** An element and all below it, in document order. */
export function* walk(element: XmlElement): Generator<XmlElement> {
  yield element;
  for (const child of element.children) yield* walk(child);
}
