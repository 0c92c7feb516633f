/** What both entries of the package have in common. */

export { timestampDate } from "@bufbuild/protobuf/wkt";
export { type ClientOptions, MemoryClient } from "./client.js";
export type { Config } from "./config.js";
export type { CallOptions, WriteOptions } from "./connection.js";
export type { Context, ContextHistory, ContextOptions } from "./context.js";
export * from "./errors.js";
export type { Extractions } from "./extractions.js";
export {
  AdminService,
  type EraseUserResponse,
  type GetServerInfoResponse,
  type GetStatsResponse,
} from "./generated/memsvc/v1/admin_pb.js";
export {
  Layer,
  LearningMode,
  LearningState,
  type Origin,
  Polarity,
  Role,
  Trust,
  type Usage,
} from "./generated/memsvc/v1/common_pb.js";
export {
  ConfigService,
  type GetMemoryConfigResponse,
  type MemoryConfig,
  type MemorySettings,
  type UpdateMemoryConfigResponse,
} from "./generated/memsvc/v1/config_pb.js";
export {
  type ContextCut,
  ContextFormat,
  type ContextSection,
  ContextSectionKind,
  ContextService,
  CutReason,
} from "./generated/memsvc/v1/context_pb.js";
export {
  type Extraction,
  type ExtractionEvent,
  ExtractionKind,
  ExtractionService,
  ExtractionState,
} from "./generated/memsvc/v1/extraction_pb.js";
export {
  type BatchWriteOperation,
  type Change,
  ChangeCause,
  ChangeKind,
  type Commit,
  type Memory,
  MemoryOrder,
  MemoryService,
  type SearchHit,
  type SearchMemoriesResponse,
  SearchMethod,
  type TopicCount,
  type WatchMemoriesResponse,
} from "./generated/memsvc/v1/memory_pb.js";
export type { Message, Part } from "./generated/memsvc/v1/message_pb.js";
export { Reason } from "./generated/memsvc/v1/reason_pb.js";
export {
  type AppendRunResponse,
  type DeleteSessionResponse,
  type HistoryPassage,
  type Run,
  type Session,
  SessionService,
  type SessionSummary,
} from "./generated/memsvc/v1/session_pb.js";
export { type CallToolResponse, ToolFormat, ToolService } from "./generated/memsvc/v1/tool_pb.js";
export { toJson } from "./json.js";
export type { Listing } from "./listing.js";
export type { ChangeOptions, Memories, MemoryWriteOptions, ReadOptions, Restored } from "./memories.js";
export type { ChatMessage, ChatToolCall, MessageLike } from "./messages.js";
export { retrying } from "./retries.js";
export type { Consistency, MemoryFilter, TimeRange } from "./selection.js";
export type { ConfigSettings, LayerSettings, Settings } from "./settings.js";
export type { TimeLike } from "./time.js";
export { TOOLS, type ToolCallOptions, type ToolDefinition } from "./tools.js";
export type { AppendRunOptions, History, LearnOptions, Source, User, UserMemory } from "./user.js";
export type { Word } from "./words.js";
export {
  createOperation,
  deleteOperation,
  type Json,
  type MemoryFields,
  type MemoryUpdate,
  type NewMemory,
  updateOperation,
  valueAt,
  type Which,
} from "./writing.js";
