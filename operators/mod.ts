export { copy } from "./copy.ts";
export type { Copied, CopyOptions } from "./copy.ts";
export { checkCopyOptions } from "./_copy_options.ts";
export { listLoads } from "./list_loads.ts";
export type { ListedLoad, ListLoadsOptions } from "./list_loads.ts";
export type { SqlType } from "./_canonical.ts";
export { COLUMN_TYPES } from "./_column_type.ts";
export type { ColumnType } from "./_column_type.ts";
export { csv } from "./csv.ts";
export type { Batches } from "./csv.ts";
export { jsonLines } from "./json_lines.ts";
export type { JsonLinesOptions } from "./json_lines.ts";
export { arrowIpc, type ArrowIpcOptions } from "./arrow_ipc.ts";
export { RECORD_FORMATS, records } from "./records.ts";
export type { RecordFormat, RecordsOptions } from "./records.ts";
export { checkCsvOptions, PLAIN_CSV } from "./_csv_options.ts";
export type { CsvOptions, ReadAs } from "./_csv_options.ts";
export type { SpellingOptions } from "./_spelling.ts";
export type { Dialect } from "./_tokenizer.ts";
export { decompress } from "./decompress.ts";
export type { DecompressOptions } from "./decompress.ts";
export { open, save } from "./file.ts";
export type { File, OpenOptions, SaveOptions } from "./file.ts";
export { http } from "./http.ts";
export type { HttpOptions } from "./http.ts";
export { bash } from "./bash.ts";
export type { BashOptions } from "./bash.ts";
export { empty } from "./empty.ts";
export { request } from "./request.ts";
export type { Answered, Expected, RequestOptions } from "./request.ts";
export { sql } from "./sql.ts";
export type { SqlOptions } from "./sql.ts";
export type { Ran, SqlValue } from "./_statement.ts";
export { parquet } from "./parquet.ts";
export type { ParquetFile, ParquetOptions } from "./parquet.ts";
export { dagDone, fileReady, httpReady, sqlReady, timeReached, until } from "./sensors.ts";
export type {
  DagDoneOptions,
  FileReadyOptions,
  HttpReadyOptions,
  SqlReadyOptions,
  TimeReachedOptions,
} from "./sensors.ts";
export type { Column } from "./_copy_options.ts";
export { REJECT_RULES, SiftedBatch } from "./_reject.ts";
export type { OnReject, Reject, RejectRule, Sifting, Tolerance } from "./_reject.ts";
export { checkRejectsFile } from "./check_rejects_file.ts";
export { columnsOf, listRejects, listRejectTables } from "./list_rejects.ts";
export type {
  ListedReject,
  ListRejectsOptions,
  RejectsOptions,
  RejectTable,
} from "./list_rejects.ts";
export { replayRejects } from "./replay_rejects.ts";
export type { Correction, Replayed, ReplayOptions } from "./replay_rejects.ts";
export type { Widening } from "./_widening.ts";
