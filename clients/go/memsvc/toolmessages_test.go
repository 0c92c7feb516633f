package memsvc

import (
	"encoding/json"
	"errors"
	"reflect"
	"testing"
)

func TestCallsOfToolsAreFoundInWhatProvidersAnswer(t *testing.T) {
	for name, each := range map[string]struct {
		message, answers string
	}{
		"chat completions": {
			`{"role": "assistant", "content": null, "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "forget", "arguments": "{}"}}]}`,
			`[{"role": "tool", "tool_call_id": "c1", "content": "Done"}]`,
		},
		"responses": {
			`{"output": [{"type": "message"}, {"type": "function_call", "call_id": "c1", "name": "forget", "arguments": "{}"}]}`,
			`[{"type": "function_call_output", "call_id": "c1", "output": "Done"}]`,
		},
		"responses' items": {
			`[{"type": "function_call", "call_id": "c1", "name": "forget", "arguments": "{}"}]`,
			`[{"type": "function_call_output", "call_id": "c1", "output": "Done"}]`,
		},
		"blocks": {
			`{"role": "assistant", "content": [{"type": "tool_use", "id": "c1", "name": "forget", "input": {}}]}`,
			`[{"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c1", "content": "Done", "is_error": false}]}]`,
		},
		"a text":            {`{"role": "assistant", "content": "Hello"}`, `[]`},
		"blocks of a text":  {`{"role": "assistant", "content": [{"type": "text", "text": "Hello"}]}`, `[]`},
		"a message of Go's": {`{"ToolCalls": null, "content": "Hello"}`, `[]`},
	} {
		form, calls, err := callsIn(json.RawMessage(each.message))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		var answered []answeredCall
		for _, call := range calls {
			if call.name != "forget" || call.arguments != "{}" {
				t.Errorf("%s: %v", name, call)
			}
			answered = append(answered, answeredCall{call, &ToolAnswer{Text: "Done"}})
		}
		written, err := json.Marshal(answersTo(form, answered))
		if err != nil {
			t.Fatal(err)
		}
		var came, wanted any
		if json.Unmarshal(written, &came) != nil || json.Unmarshal([]byte(each.answers), &wanted) != nil || !reflect.DeepEqual(came, wanted) {
			t.Errorf("%s: %s", name, written)
		}
	}
}

func TestWhatIsNoMessageIsRefused(t *testing.T) {
	for _, message := range []any{nil, 7, "text", json.RawMessage(`{"choices": []}`)} {
		var argument *ArgumentError
		if _, _, err := callsIn(message); !errors.As(err, &argument) {
			t.Errorf("%v: %v", message, err)
		}
	}
}

func TestAValueIsSpoken(t *testing.T) {
	for value, wanted := range map[string]string{
		`"nurse"`: "nurse", `["Go", ["C", 3]]`: "Go, C, 3", `7`: "7", `true`: "true", `{"a":1}`: `{"a":1}`,
	} {
		if came := spoken(json.RawMessage(value)); came != wanted {
			t.Errorf("%s: %s", value, came)
		}
	}
}
