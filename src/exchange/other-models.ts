/**
 * Fields by which a request could be answered by another model than the one that was decided on: fallbacks and routers
 * (Anthropic, OpenRouter, LiteLLM), adapters (TGI, LoRAX, SGLang, llama.cpp), other addresses. None has a value that a
 * rule could have seen as `model.name`, so they are refused.
 */
import type { Check } from './check.ts';
import { isJsonObject, type JsonObject } from './json.ts';

const names =
  'models fallbacks fallback_models context_window_fallbacks content_policy_fallbacks model_list route preset ' +
  'lora lora_path lora_request lora_name lora_id adapter_id adapter_source adapters merged_adapters ' +
  'engine deployment_id api_base base_url custom_llm_provider';
/** Names of a body that would have another model answer. */
const otherModelNames: ReadonlySet<string> = new Set(names.split(' '));
/** Members that some servers put into the body itself. */
const merged = ['extra_body', 'parameters'];

/** Complains of a field that names another model, in a body and in what is merged into it. */
export function refuseOtherModels(check: Check, body: JsonObject): void {
  refuseNamed(check, body, otherModelNames, '');
  for (const name of merged) {
    const inner = body[name];
    if (isJsonObject(inner)) refuseNamed(check, inner, withModel, name);
  }
}

const withModel: ReadonlySet<string> = new Set([...otherModelNames, 'model', 'modelId', 'model_id']);

/** Complains of a member with one of these names, or one that a lenient server takes for it. Null says nothing. */
export function refuseNamed(check: Check, object: JsonObject, refused: ReadonlySet<string>, at: string): void {
  check.names(object, refused, at);
  for (const name of refused)
    if (object[name] !== undefined && object[name] !== null)
      check.complain(
        `Unsupported parameter: '${at === '' ? name : `${at}.${name}`}'. It names another model than the one that is asked.`,
      );
}

/** Where a format names the model in its path, a body has no business with it. */
export function refuseAnyModel(check: Check, object: JsonObject, at: string): void {
  refuseNamed(check, object, withModel, at);
}
