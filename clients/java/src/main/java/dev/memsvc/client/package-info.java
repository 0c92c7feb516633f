/** The client of memsvc, a memory service for AI agents: {@link dev.memsvc.client.MemsvcClient}. */
package dev.memsvc.client;
