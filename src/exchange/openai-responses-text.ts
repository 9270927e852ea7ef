/**
 * Which strings of a Responses request, response and event are text. Source: the OpenAI API reference, "Responses" and
 * "Streaming events". An item has the same form wherever it stands.
 */
import { type Treatment, textRules } from './text-rules.ts';

type Table = Record<string, Treatment>;

function all(treatment: Treatment, at: string, names: string): Table {
  return Object.fromEntries(names.split(' ').map((name) => [`${at}${name}`, treatment]));
}

/** A part of a message, of a tool's output, or a prompt's variable. */
function part(at: string): Table {
  return {
    ...all('structural', at, 'type detail file_id input_audio.format prompt_cache_breakpoint.mode'),
    ...all('whole', at, 'filename file_url annotations[].**'),
    ...all('channel', at, 'text refusal transcript'),
    ...all('binary', at, 'image_url file_data input_audio.data'),
    [`${at}logprobs`]: 'drop',
  };
}

/** A tool on offer; `tools` of a namespace are tools again. */
function tool(at: string): Table {
  return {
    ...all('structural', at, 'type strict search_context_size require_approval connector_id defer_loading async'),
    ...all('structural', at, 'vector_store_ids[] max_num_results display_width display_height environment'),
    ...all('structural', at, 'container container.type container.file_ids[] allowed_callers[] execution'),
    ...all(
      'structural',
      at,
      'background model moderation output_compression output_format partial_images quality size',
    ),
    ...all('whole', at, 'name description parameters output_schema format server_label server_url server_description'),
    ...all('whole', at, 'authorization headers allowed_tools[] filters ranking_options user_location input_schema'),
  };
}

function item(at: string): Table {
  return {
    ...all('structural', at, 'type id status role call_id execution approval_request_id approve container_id phase'),
    ...all('structural', at, 'caller.type caller.caller_id fingerprint action.type action.button action.x action.y'),
    ...all('structural', at, 'action.timeout_ms action.max_output_length max_output_length operation.type'),
    ...all('structural', at, 'output.type output.file_id summary[].type outputs[].type results[].file_id'),
    ...all('structural', at, 'output[].outcome.type output[].outcome.exit_code background output_format quality size'),
    ...all('whole', at, 'name namespace server_label error reason revised_prompt queries[] results[].text'),
    ...all('whole', at, 'results[].filename results[].score results[].attributes action.query action.queries[]'),
    ...all('whole', at, 'action.url action.pattern action.text action.command[] action.commands[] action.env'),
    ...all('whole', at, 'action.working_directory action.user action.sources[].type action.sources[].url'),
    ...all('whole', at, 'operation.path operation.diff reasoning'),
    ...all('channel', at, 'content input output summary[].text code outputs[].logs output[].stdout output[].stderr'),
    ...all('json', at, 'arguments'),
    ...all('sealed', at, 'encrypted_content'),
    ...all('binary', at, 'result outputs[].url output.image_url'),
    ...part(`${at}content[].`),
    ...part(`${at}output[].`),
    ...tool(`${at}tools[].`),
    ...tool(`${at}tools[].tools[].`),
  };
}

/** What a request says and a response repeats. */
const settings: Table = {
  ...all('structural', '', 'model background conversation conversation.id previous_response_id max_output_tokens'),
  ...all('structural', '', 'max_tool_calls parallel_tool_calls prompt.id prompt.version prompt_cache_key'),
  ...all('structural', '', 'prompt_cache_retention reasoning.effort reasoning.summary reasoning.generate_summary'),
  ...all('structural', '', 'safety_identifier service_tier store temperature text.format.type text.format.strict'),
  ...all(
    'structural',
    '',
    'text.verbosity top_logprobs top_p truncation tool_choice tool_choice.type tool_choice.mode',
  ),
  ...all('structural', '', 'presence_penalty frequency_penalty'),
  ...all('whole', '', 'metadata user text.format.name text.format.description text.format.schema tool_choice.name'),
  ...all('whole', '', 'tool_choice.server_label tool_choice.tools[].type tool_choice.tools[].name'),
  ...all('channel', '', 'instructions prompt.variables'),
  ...tool('tools[].'),
  ...tool('tools[].tools[].'),
};

const response: Table = {
  ...settings,
  ...all('structural', '', 'id object status'),
  ...all('time', '', 'created_at completed_at'),
  ...all('whole', '', 'incomplete_details.reason'),
  // A convenience of SDKs, which some servers send.
  output_text: 'channel',
  'usage.**': 'counts',
  'usage.input_tokens': 'input-tokens',
  'usage.output_tokens': 'output-tokens',
  'error.**': 'error',
  ...item('output[].'),
  ...item('instructions[].'),
};

const under = (at: string, table: Table): Table =>
  Object.fromEntries(Object.entries(table).map(([path, treatment]) => [at + path, treatment]));

const events: Table = {
  ...all('structural', '', 'type sequence_number item_id output_index content_index summary_index command_index'),
  ...all('structural', '', 'annotation_index partial_image_index obfuscation'),
  ...all('channel', '', 'delta delta.stdout delta.stderr text refusal input code command transcript'),
  ...all('whole', '', 'message param annotation.**'),
  ...all('json', '', 'arguments'),
  ...all('drop', '', 'logprobs'),
  ...all('binary', '', 'partial_image_b64'),
  'error.**': 'error',
  ...part('part.'),
  ...item('item.'),
  ...part('output[].'),
  ...under('response.', response),
};

export const requestText = textRules({
  ...settings,
  ...all('structural', '', 'stream stream_options.include_obfuscation include[] context_management[].type'),
  ...all('structural', '', 'context_management[].compact_threshold moderation.model'),
  input: 'channel',
  ...item('input[].'),
});

/** A response that is one JSON body: each text is complete. */
export const responseText = textRules({ ...response, ...all('whole', '', 'message detail') });
export const eventText = textRules(events);
