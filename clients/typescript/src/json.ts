/** Messages of the API as plain JSON. */
import { createRegistry, type JsonValue, type Message, toJson as messageToJson } from "@bufbuild/protobuf";
import { file_memsvc_v1_admin } from "./generated/memsvc/v1/admin_pb.js";
import { file_memsvc_v1_common } from "./generated/memsvc/v1/common_pb.js";
import { file_memsvc_v1_config } from "./generated/memsvc/v1/config_pb.js";
import { file_memsvc_v1_context } from "./generated/memsvc/v1/context_pb.js";
import { file_memsvc_v1_extraction } from "./generated/memsvc/v1/extraction_pb.js";
import { file_memsvc_v1_memory } from "./generated/memsvc/v1/memory_pb.js";
import { file_memsvc_v1_message } from "./generated/memsvc/v1/message_pb.js";
import { file_memsvc_v1_session } from "./generated/memsvc/v1/session_pb.js";
import { file_memsvc_v1_tool } from "./generated/memsvc/v1/tool_pb.js";

const registry = /*@__PURE__*/ createRegistry(
  file_memsvc_v1_admin,
  file_memsvc_v1_common,
  file_memsvc_v1_config,
  file_memsvc_v1_context,
  file_memsvc_v1_extraction,
  file_memsvc_v1_memory,
  file_memsvc_v1_message,
  file_memsvc_v1_session,
  file_memsvc_v1_tool,
);

/**
 * Return a message of the API as the server's HTTP API writes it: enums by name, revisions and times as strings.
 * (`JSON.stringify` throws at a bigint.) Throws TypeError for what is no message.
 */
export function toJson(message: Message): JsonValue {
  const schema = registry.getMessage(message.$typeName);
  if (!schema) throw new TypeError(`${message.$typeName} is no message of the API`);
  return messageToJson(schema, message);
}
