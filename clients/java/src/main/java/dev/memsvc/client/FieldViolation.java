package dev.memsvc.client;

/**
 * One wrong field of a request.
 *
 * @param field its path as in the proto, {@code memory.text}
 * @param description what it must be
 */
public record FieldViolation(String field, String description) {}
