package dev.memsvc.springai;

import dev.memsvc.client.Context;
import dev.memsvc.client.User;
import java.util.ArrayList;
import java.util.List;
import org.springframework.ai.chat.client.ChatClientRequest;
import org.springframework.ai.chat.messages.Message;
import org.springframework.ai.chat.messages.SystemMessage;

/**
 * What a turn of an agent knows: all its questions to the model begin with the same words of the
 * user.
 */
record Turn(Key key, User user, Context context) {
  /** Which turn it is: whose, and what the user said, behind so many messages. */
  record Key(String userId, String sessionId, int begin, String query) {}

  /** The request with what is known behind the agent's own instructions. */
  ChatClientRequest withContext(ChatClientRequest request) {
    if (context.text().isEmpty()) {
      return request;
    }
    List<Message> messages = new ArrayList<>(request.prompt().getInstructions());
    int end = 0;
    while (end < messages.size() && messages.get(end) instanceof SystemMessage) {
      end++;
    }
    if (end == 0) {
      messages.add(0, new SystemMessage(context.text()));
    } else {
      SystemMessage own = (SystemMessage) messages.get(end - 1);
      messages.set(end - 1, own.mutate().text(own.getText() + "\n\n" + context.text()).build());
    }
    return request.mutate().prompt(request.prompt().mutate().messages(messages).build()).build();
  }
}
