package memsvc

import memsvcv1 "github.com/memsvc/memsvc/clients/go/memsvc/v1"

// Message is one message of a conversation.
type Message = memsvcv1.Message

// Part is one piece of a message.
type Part = memsvcv1.Part

// UserMessage is what the user said.
func UserMessage(text string) *Message {
	return message(RoleUser, TextPart(text))
}

// AssistantMessage is what the agent said.
func AssistantMessage(text string) *Message {
	return message(RoleAssistant, TextPart(text))
}

// SystemMessage is what the agent was told.
func SystemMessage(text string) *Message {
	return message(RoleSystem, TextPart(text))
}

// ToolCallMessage is the agent's call of a tool. Arguments are a JSON object.
func ToolCallMessage(callID, name, argumentsJSON string) *Message {
	call := &memsvcv1.ToolCallPart{Id: callID, Name: name, ArgumentsJson: argumentsJSON}
	return message(RoleAssistant, &Part{Part: &memsvcv1.Part_ToolCall{ToolCall: call}})
}

// ToolResultMessage is a tool's answer.
func ToolResultMessage(callID, text string) *Message {
	result := &memsvcv1.ToolResultPart{CallId: callID, Parts: []*Part{TextPart(text)}}
	return message(RoleTool, &Part{Part: &memsvcv1.Part_ToolResult{ToolResult: result}})
}

// TextPart is text of a message.
func TextPart(text string) *Part {
	return &Part{Part: &memsvcv1.Part_Text{Text: &memsvcv1.TextPart{Text: text}}}
}

// Text returns the text of a message, without its calls of tools, their answers and media.
func Text(message *Message) string {
	var text string
	for _, part := range message.GetParts() {
		text += part.GetText().GetText()
	}
	return text
}

func message(role Role, parts ...*Part) *Message {
	return &Message{Role: role, Parts: parts}
}
