import type { Environment } from '@marcbachmann/cel-js';
import type { RuleKind, TypeRow, VariableRow } from './fields.ts';
import {
  CallerView,
  ChangeView,
  HttpView,
  MessageView,
  ModelView,
  RequestView,
  ResponseView,
  ToolCallView,
  ToolView,
} from './views.ts';
import { callerKinds, changeKinds, formats, operations, phases, proofs, type Values } from './vocabulary.ts';

/** The types, as rules are checked against them: name in complaints → class and fields. */
const types = {
  Message: {
    ctor: MessageView,
    fields: { role: { type: 'string', doc: '' }, text: { type: 'string', doc: '' } },
  },
  Tool: {
    ctor: ToolView,
    fields: { name: { type: 'string', doc: 'a hosted tool without a name of its own: its type' } },
  },
  Caller: {
    ctor: CallerView,
    fields: {
      provider: {
        type: 'string',
        doc: 'name in `identity.providers` or `identity.saml`, or `mesh`; two providers with one `sub` are two people',
      },
      issuer: { type: 'string', doc: "the token's `iss`, SAML's `entityId`, trust domain of a peer" },
      subject: {
        type: 'string',
        doc: "the token's `sub` (or the provider's `subjectClaim`), NameID of SAML, SPIFFE id of a peer",
      },
      kind: {
        type: 'string',
        doc: '',
        values: callerKinds,
      },
      proof: {
        type: 'string',
        doc: 'what was verified',
        values: proofs,
      },
      email: { type: 'string', optional: true, doc: '' },
      groups: { type: 'list<string>', doc: '' },
      groupsComplete: {
        type: 'bool',
        doc: '`false`: there may be more groups, and the provider says `groups: {required: false}`. A rule that denies by group says `"x" in caller.groups || !caller.groupsComplete`',
      },
      team: { type: 'string', optional: true, doc: 'from `identity.teams`' },
      claims: { type: 'map<string, dyn>', doc: 'every verified claim' },
    },
  },
  Request: {
    ctor: RequestView,
    fields: {
      format: { type: 'string', doc: 'the model API', values: formats },
      operation: { type: 'string', doc: 'what is asked for', values: operations },
      model: { type: 'string', doc: 'as the caller wrote it' },
      stream: { type: 'bool', doc: '' },
      choices: { type: 'int', doc: '`n`, else 1' },
      messages: { type: 'list<Message>', doc: '' },
      text: { type: 'string', doc: 'all text of the request, tool results and descriptions too' },
      tools: { type: 'list<Tool>', doc: '' },
      system: { type: 'string', doc: 'system and developer instructions; empty: none' },
      toolCall: { type: 'ToolCall', optional: true, doc: 'of an MCP `tools/call`' },
      images: { type: 'int', doc: 'image parts' },
      audio: { type: 'int', doc: 'audio and video parts' },
      files: { type: 'int', doc: 'attached files' },
      unread: {
        type: 'bool',
        doc: 'something in it was not read as text: an image, sound, a PDF, other bytes, a file that is only named, an opaque body',
      },
      opaque: {
        type: 'bool',
        doc: 'a path or body that the gateway does not read; the model entry has to admit it too',
      },
      parameters: {
        type: 'map<string, dyn>',
        doc: 'scalar parameters as the caller names them: `"temperature" in request.parameters`',
      },
      maxTokens: { type: 'int', optional: true, doc: 'most tokens that the answer may have' },
      tokens: {
        type: 'int',
        doc: 'estimate of the prompt: a quarter of its bytes in UTF-8, which is about four characters each in English',
      },
      bytes: { type: 'int', doc: 'length of the body' },
      findings: {
        type: 'map<string, int>',
        doc: 'detector or category → how often; what was not found has no key. Counts what `record.detect` names (by default all)',
      },
      filters: {
        type: 'map<string, int>',
        doc: 'content filter (`filters` in the config) → how often it matched; one that did not match has no key',
      },
    },
  },
  Http: {
    ctor: HttpView,
    fields: {
      method: { type: 'string', doc: '' },
      host: { type: 'string', doc: '' },
      path: { type: 'string', doc: 'without the query' },
      clientAddress: { type: 'string', doc: '' },
      headers: {
        type: 'map<string, string>',
        doc: 'by lower-case name, duplicates joined by `, `; credentials and cookies are not among them',
      },
    },
  },
  ToolCall: {
    ctor: ToolCallView,
    fields: {
      name: { type: 'string', doc: '' },
      arguments: { type: 'dyn', doc: 'as JSON: `toolCall.arguments.path`; a string where they are no JSON' },
    },
  },
  Response: {
    ctor: ResponseView,
    fields: {
      status: { type: 'int', doc: 'HTTP status' },
      contentType: { type: 'string', doc: '' },
      findings: { type: 'map<string, int>', doc: 'as `request.findings`, of what was answered so far' },
      outputTokens: { type: 'int', optional: true, doc: 'as the model reported them, so far' },
      bytes: { type: 'int', doc: 'released so far, with those that are about to be' },
      phase: {
        type: 'string',
        doc: 'why the rules run now',
        values: phases,
      },
    },
  },
  Change: {
    ctor: ChangeView,
    fields: {
      kind: { type: 'string', doc: '', values: changeKinds },
      model: { type: 'string', doc: '' },
      fromVersion: { type: 'string', optional: true, doc: '' },
      toVersion: { type: 'string', optional: true, doc: '' },
      fields: { type: 'list<string>', doc: 'names of the settings that differ' },
      by: { type: 'string', doc: 'who makes it' },
    },
  },
  Model: {
    ctor: ModelView,
    fields: {
      name: { type: 'string', doc: 'name in models.yaml' },
      version: { type: 'string', doc: '' },
      labels: { type: 'map<string, string>', doc: '' },
      team: { type: 'string', optional: true, doc: '' },
    },
  },
} as const satisfies Readonly<Record<string, TypeRow>>;

/** The variables, one row each. */
export const variables = {
  caller: { type: 'Caller', doc: 'who asks, verified', on: ['request', 'response', 'lifecycle'] },
  request: { type: 'Request', doc: 'what is asked', on: ['request', 'response'] },
  http: { type: 'Http', doc: 'how it came', on: ['request', 'response'] },
  model: { type: 'Model', doc: 'the entry of models.yaml that it is for', on: ['request', 'response', 'lifecycle'] },
  response: { type: 'Response', doc: 'what the model answers', on: ['response'] },
  toolCall: {
    type: 'ToolCall',
    doc: 'a complete tool call of the answer; a rule that reads it runs at each tool call only',
    on: ['response'],
  },
  change: { type: 'Change', doc: 'what is to change of the model', on: ['lifecycle'] },
  now: { type: 'google.protobuf.Timestamp', doc: '', on: ['request', 'response', 'lifecycle'] },
} as const satisfies Readonly<Record<string, VariableRow>>;

export const typeRows: Readonly<Record<string, TypeRow>> = types;
const variableRows: Readonly<Record<string, VariableRow>> = variables;

/** Declares every type, and the variables that rules of this kind see. */
export function registerVariables(env: Environment, on: RuleKind): void {
  for (const [name, { ctor, fields }] of Object.entries(typeRows)) {
    const declared = Object.entries(fields).map(([field, row]) => [field, row.type] as const);
    env.registerType(name, { ctor, fields: Object.fromEntries(declared) });
  }
  for (const [name, row] of Object.entries(variableRows)) if (row.on.includes(on)) env.registerVariable(name, row.type);
}

/** Kinds of rules that see a variable; empty for a name that is none. */
export function kindsOf(variable: string): readonly RuleKind[] {
  return Object.hasOwn(variableRows, variable) ? (variableRows[variable]?.on ?? []) : [];
}

/** Names of the variables that rules of this kind see. */
export function variablesOf(on: RuleKind): readonly string[] {
  return [...Object.keys(variableRows).filter((name) => kindsOf(name).includes(on)), 'variables'];
}

/** Names of all variables, whatever the kind of rule. */
export const variableRoots: ReadonlySet<string> = new Set(Object.keys(variableRows));

/** `caller.kind` → its values, of every field that has only some. */
export const closedFields: Values = new Map(
  Object.entries(variableRows).flatMap(([variable, { type }]) =>
    Object.entries(typeRows[type]?.fields ?? {}).flatMap(([field, { values }]): [string, readonly string[]][] =>
      values === undefined ? [] : [[`${variable}.${field}`, Object.keys(values)]],
    ),
  ),
);

/** Field names of one of our types, for hints; empty for any other type. */
export function fieldsOf(type: string): readonly string[] {
  return Object.hasOwn(typeRows, type) ? Object.keys(typeRows[type]?.fields ?? {}) : [];
}
