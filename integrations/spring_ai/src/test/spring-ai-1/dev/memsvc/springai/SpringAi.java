package dev.memsvc.springai;

import org.springframework.ai.chat.client.advisor.ToolCallAdvisor;
import org.springframework.ai.chat.client.advisor.api.Advisor;
import org.springframework.ai.chat.model.ChatModel;
import org.springframework.ai.openai.OpenAiChatModel;
import org.springframework.ai.openai.OpenAiChatOptions;
import org.springframework.ai.openai.api.OpenAiApi;

/** What is made otherwise in Spring AI 1 than in others. */
final class SpringAi {
  private SpringAi() {}

  static ChatModel model(String baseUrl) {
    OpenAiApi api =
        OpenAiApi.builder().baseUrl(baseUrl.replaceFirst("/v1$", "")).apiKey("none").build();
    OpenAiChatOptions options = OpenAiChatOptions.builder().model("scripted").build();
    return OpenAiChatModel.builder().openAiApi(api).defaultOptions(options).build();
  }

  /** The loop that calls tools, as an advisor. */
  static Advisor toolLoop() {
    return ToolCallAdvisor.builder().build();
  }
}
