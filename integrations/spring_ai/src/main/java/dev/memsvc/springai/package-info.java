/** Memory for agents of Spring AI. */
package dev.memsvc.springai;
