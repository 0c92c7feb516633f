package dev.memsvc.springai;

import dev.memsvc.client.MemsvcClient;
import java.util.Scanner;
import org.springframework.ai.chat.client.ChatClient;
import org.springframework.ai.chat.memory.ChatMemory;
import org.springframework.ai.chat.model.ChatModel;

/** An example: a chat with an agent that remembers, a line for each thing that you say. */
final class Chat {
  private Chat() {}

  static void with(String userId, ChatModel model, MemsvcClient client, Scanner lines) {
    ChatClient agent =
        ChatClient.builder(model)
            .defaultSystem("Be brief.")
            .defaultAdvisors(MemsvcAdvisor.of(client))
            .build();
    String session = "chat-" + System.currentTimeMillis();
    while (lines.hasNextLine()) {
      String answer =
          agent
              .prompt(lines.nextLine())
              .advisors(of -> of.param(MemsvcAdvisor.USER_ID, userId))
              .advisors(of -> of.param(ChatMemory.CONVERSATION_ID, session))
              .call()
              .content();
      System.out.println(answer);
    }
  }

  /** The user's id, and where the model and memory are. */
  public static void main(String[] arguments) {
    try (MemsvcClient client = MemsvcClient.to(arguments[2]);
        Scanner lines = new Scanner(System.in)) {
      with(arguments[0], SpringAi.model(arguments[1]), client, lines);
    }
  }
}
