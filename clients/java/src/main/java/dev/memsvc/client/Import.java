package dev.memsvc.client;

import dev.memsvc.v1.AdminServiceGrpc;
import dev.memsvc.v1.ExportRecord;
import dev.memsvc.v1.ImportMemoriesRequest;
import dev.memsvc.v1.ImportMode;
import dev.memsvc.v1.ImportOutcome;
import java.util.ArrayList;
import java.util.List;

/** Sends records some hundred at a time; fewer where a commit would be too large. */
final class Import {
  private static final int CALL_RECORDS = 500;
  private static final int CALL_BYTES = 2 * 1024 * 1024;

  private final Subject subject;
  private final ImportMode mode;
  private final List<ImportOutcome> outcomes = new ArrayList<>();

  Import(Subject subject, ImportMode mode) {
    this.subject = subject;
    this.mode = mode;
  }

  List<ImportOutcome> of(Iterable<ExportRecord> records) {
    List<ExportRecord> chunk = new ArrayList<>();
    int size = 0;
    for (ExportRecord record : records) {
      int length = record.getSerializedSize();
      if (!chunk.isEmpty() && (chunk.size() == CALL_RECORDS || size + length > CALL_BYTES)) {
        send(chunk);
        chunk = new ArrayList<>();
        size = 0;
      }
      chunk.add(record);
      size += length;
    }
    if (!chunk.isEmpty()) {
      send(chunk);
    }
    return List.copyOf(outcomes);
  }

  private void send(List<ExportRecord> chunk) {
    ImportMemoriesRequest request =
        ImportMemoriesRequest.newBuilder()
            .setScope(subject.scope())
            .addAllRecords(chunk)
            .setMode(mode)
            .setRequestId(Requests.newId())
            .build();
    try {
      outcomes.addAll(
          Connection.await(
              subject.send(
                  AdminServiceGrpc.getImportMemoriesMethod(),
                  request,
                  reply -> reply.getOutcomesList())));
    } catch (MemsvcException failure) {
      if (!failure.reason().equals("REQUEST_TOO_LARGE") || chunk.size() == 1) {
        throw failure;
      }
      int half = chunk.size() / 2;
      send(chunk.subList(0, half));
      send(chunk.subList(half, chunk.size()));
    }
  }
}
