import { describe, expect, it } from 'vitest';
import { cases, policies, policy, projectPerTest, write } from './policies.ts';

projectPerTest();

describe('requests of cases', () => {
  const outcomes = async (list: string) => {
    write('policies/chat.yaml', policy('- {name: all, then: allow}'));
    write('policies/chat.cases.yaml', cases(list));
    const { cases: results } = JSON.parse((await policies(['test', '--json'])).stdout);
    return results.map(({ differences }: { differences: readonly { got: string }[] }) =>
      differences.map(({ got }) => got).join(),
    );
  };

  it.each([
    ...['openai-chat', 'openai-completions', 'openai-responses', 'openai-embeddings', 'anthropic-messages', 'gemini'],
    ...['ollama-chat', 'ollama-generate', 'bedrock-converse', 'tgi', 'mcp', 'opaque'],
  ])('without path and body are the smallest of %s, where the model takes no other', async (format) => {
    write('policies/chat.yaml', policy(`- {name: it, when: 'request.format == "${format}"', then: allow}`));
    const model = `model: {name: llama, formats: [${format}]}`;
    write(
      'policies/chat.cases.yaml',
      cases(`- {name: one, ${model}, expect: {verdict: allow}}
- {name: two, ${model}, request: {format: ${format}}, expect: {verdict: allow}}`),
    );
    expect((await policies(['test'])).stdout).toContain('2 passed, 0 failed');
  });

  it('are refused as the gate refuses them', async () => {
    write(
      'models.yaml',
      `models:
  - {name: llama, version: "1", upstream: "http://llama:8000", formats: [openai-chat], match: {hosts: [llama.test]}}
  - {name: tools, version: "1", upstream: "http://tools:8000", formats: [mcp], match: {paths: [/tools]}}
`,
    );
    const got = await outcomes(`- {name: a, request: {path: /v1/embeddings}, expect: {verdict: allow}}
- {name: b, request: {path: /v1/nothing}, expect: {verdict: allow}}
- {name: c, request: {host: other.test}, expect: {verdict: allow}}
- {name: d, request: {format: mcp}, expect: {verdict: allow}}
- {name: e, model: tools, request: {path: /other}, expect: {verdict: allow}}
- {name: f, request: {path: /tools}, expect: {verdict: allow}}
- {name: g, request: {body: {model: gpt, messages: [{role: user, content: Hi}]}}, expect: {verdict: allow}}
- {name: h, request: {method: GET, path: /v1/models}, expect: {verdict: allow}}
- {name: i, request: {headers: {upgrade: websocket}}, expect: {verdict: allow}}
- {name: j, model: tools, request: {method: GET}, expect: {verdict: allow}}
- {name: k, request: {headers: {content-type: text/plain}}, expect: {verdict: allow}}
- {name: l, model: tools, expect: {verdict: allow}}
- {name: m, expect: {verdict: allow}}
- {name: n, request: {path: /v1/embeddings}, expect: {refused: true}}
- {name: o, expect: {refused: true}}`);
    expect(got).toEqual([
      'unknown_model: llama takes no openai-embeddings at llama.test/v1/embeddings; it takes openai-chat',
      'path_not_admitted: POST /v1/nothing',
      'unknown_model: llama takes no openai-chat at other.test/v1/chat/completions; it takes openai-chat',
      'path_not_admitted: POST /mcp',
      'path_not_admitted: POST /other',
      'the gate takes it to be for the model tools',
      'unknown_model: no model called gpt takes openai-chat at llama.test/v1/chat/completions',
      'it asks for the list of models: no rule decides about it',
      expect.stringContaining('upgrade_refused'),
      'method_not_allowed: GET /tools',
      expect.stringContaining('unsupported_media_type'),
      '',
      '',
      '',
      'admitted',
    ]);
  });

  it('say which API they are of only where the gate agrees', async () => {
    const got = await outcomes(
      '- {name: a, request: {format: openai-responses, path: /v1/chat/completions}, expect: {verdict: allow}}',
    );
    expect(got).toEqual(['the gate takes POST /v1/chat/completions for openai-chat, not for openai-responses']);
    write('policies/chat.cases.yaml', cases('- {name: a, request: {format: telex}, expect: {verdict: allow}}'));
    expect((await policies(['test'])).stderr).toContain('cases[0].request.format');
  });

  it('are opaque with a text that is no JSON', async () => {
    write('policies/chat.yaml', policy('- {name: it, when: \'request.text == "q=1&x=hello"\', then: allow}'));
    write(
      'policies/chat.cases.yaml',
      cases(`- name: a
  model: {name: llama, formats: [opaque]}
  request: {path: /any/thing, headers: {content-type: text/plain}, body: "q=1&x=hello"}
  expect: {verdict: allow}`),
    );
    expect((await policies(['test'])).stdout).toContain('1 passed');
  });
});
