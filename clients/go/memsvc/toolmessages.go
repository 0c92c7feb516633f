package memsvc

import (
	"encoding/json"
)

// memoryTools are the tools of memory; an agent may have others beside them.
var memoryTools = map[string]bool{
	"save_memory": true, "update_memory": true, "forget": true, "update_user_memory": true,
	"search_memories": true, "get_memories": true, "read_chat_history": true, "search_history": true,
}

// toolForm is how a provider holds calls and takes answers.
//
//	completions   tool_calls of a message            one message of role tool for each call
//	responses     items of type function_call        one item of type function_call_output for each
//	blocks        content blocks of type tool_use    one user message with a tool_result for each
type toolForm int

const (
	completions toolForm = iota
	responses
	blocks
)

type givenCall struct {
	id, name, arguments string
}

type answeredCall struct {
	givenCall
	answer *ToolAnswer
}

type givenMessage struct {
	Choices   json.RawMessage `json:"choices"`
	Output    json.RawMessage `json:"output"`
	Content   json.RawMessage `json:"content"`
	ToolCalls []struct {
		ID       string `json:"id"`
		Function struct {
			Name      string `json:"name"`
			Arguments string `json:"arguments"`
		} `json:"function"`
	} `json:"tool_calls"`
}

type givenBlock struct {
	Type      string          `json:"type"`
	ID        string          `json:"id"`
	CallID    string          `json:"call_id"`
	Name      string          `json:"name"`
	Arguments string          `json:"arguments"`
	Input     json.RawMessage `json:"input"`
}

// callsIn returns the calls in a model's message, and their form.
func callsIn(message any) (toolForm, []givenCall, error) {
	written, err := toJSON("message", message)
	if err != nil {
		return 0, nil, err
	}
	if form, calls, is := callsInBlocks(json.RawMessage(written)); is {
		return form, calls, nil
	}
	var said *givenMessage
	if err := json.Unmarshal([]byte(written), &said); err != nil || said == nil {
		return 0, nil, wrong("message", "must be what a model answered, with its calls of tools")
	}
	if said.Choices != nil {
		return 0, nil, wrong("message", "must be one message: choices[0].message of a completion")
	}
	if form, calls, is := callsInBlocks(said.Output); is {
		return form, calls, nil
	}
	if len(said.ToolCalls) == 0 {
		if form, calls, is := callsInBlocks(said.Content); is {
			return form, calls, nil
		}
	}
	calls := make([]givenCall, len(said.ToolCalls))
	for index, each := range said.ToolCalls {
		calls[index] = givenCall{each.ID, each.Function.Name, each.Function.Arguments}
	}
	return completions, calls, nil
}

// callsInBlocks returns the calls in a list of items or blocks, and whether it is one.
func callsInBlocks(written json.RawMessage) (toolForm, []givenCall, bool) {
	var list []givenBlock
	if json.Unmarshal(written, &list) != nil || list == nil {
		return 0, nil, false
	}
	var items, uses []givenCall
	for _, each := range list {
		switch each.Type {
		case "function_call":
			items = append(items, givenCall{each.CallID, each.Name, each.Arguments})
		case "tool_use":
			uses = append(uses, givenCall{each.ID, each.Name, string(each.Input)})
		}
	}
	if items != nil {
		return responses, items, true
	}
	return blocks, uses, true
}

// answersTo returns the messages that answer calls.
func answersTo(form toolForm, answered []answeredCall) []map[string]any {
	messages := make([]map[string]any, 0, len(answered))
	for _, each := range answered {
		text := each.answer.GetText()
		switch form {
		case completions:
			messages = append(messages, map[string]any{"role": "tool", "tool_call_id": each.id, "content": text})
		case responses:
			messages = append(messages, map[string]any{"type": "function_call_output", "call_id": each.id, "output": text})
		case blocks:
			messages = append(messages, map[string]any{
				"type": "tool_result", "tool_use_id": each.id, "content": text, "is_error": each.answer.GetIsError(),
			})
		}
	}
	if form == blocks && len(messages) > 0 {
		return []map[string]any{{"role": "user", "content": messages}}
	}
	return messages
}
