package dev.memsvc.springai;

import org.springframework.ai.chat.client.advisor.ToolCallingAdvisor;
import org.springframework.ai.chat.client.advisor.api.Advisor;
import org.springframework.ai.chat.model.ChatModel;
import org.springframework.ai.openai.OpenAiChatModel;
import org.springframework.ai.openai.OpenAiChatOptions;

/** What is made otherwise in Spring AI 2 than in others. */
final class SpringAi {
  private SpringAi() {}

  static ChatModel model(String baseUrl) {
    var options = OpenAiChatOptions.builder().baseUrl(baseUrl).apiKey("none").model("scripted");
    return OpenAiChatModel.builder().options(options.build()).build();
  }

  /** The loop that calls tools, as an advisor. */
  static Advisor toolLoop() {
    return ToolCallingAdvisor.builder().build();
  }
}
