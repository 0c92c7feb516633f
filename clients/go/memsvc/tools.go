package memsvc

import (
	"context"
	"encoding/json"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	memsvcv1 "github.com/memsvc/memsvc/clients/go/memsvc/v1"
)

const (
	slowTool     = "update_user_memory"
	slowToolWait = time.Minute
)

// ToolsOptions are those of User.Tools.
type ToolsOptions struct {
	// Settings overrule what is configured; the same belong into the calls.
	Settings *Settings
}

// Tools lists the tools that the configuration allows, in the form that the model's provider takes, to be handed on as they
// are: ToolFormatOpenAI is understood by all who speak its chat completions.
func (u *User) Tools(ctx context.Context, format ToolFormat, options *ToolsOptions) ([]json.RawMessage, error) {
	if err := u.check(); err != nil {
		return nil, err
	}
	reply, err := u.client.rpc.tools.ListTools(ctx, &memsvcv1.ListToolsRequest{
		Scope: u.scope(), Format: format, AgentId: u.agent, Settings: or(options).Settings,
	})
	if err != nil {
		return nil, err
	}
	definitions := make([]json.RawMessage, len(reply.GetTools()))
	for index, tool := range reply.GetTools() {
		definitions[index] = json.RawMessage(tool.GetDefinitionJson())
	}
	return definitions, nil
}

// CallToolOptions are those of User.CallTool and User.RunToolCalls.
type CallToolOptions struct {
	// CallID is the model's id of the call, made by the client by default: the same one, with the same arguments in the same
	// session, is carried out once. RunToolCalls takes those of the message.
	CallID    string
	SessionID string
	RunID     string
	// SharedUserIDs are other users whose memories are shown too.
	SharedUserIDs []string
	// Wait is how long update_user_memory is waited for: a minute by default. It goes on all the same.
	Wait     time.Duration
	Settings *Settings
}

// CallTool carries out one call of a tool. The arguments are JSON text, or anything that JSON can hold as an object; nil: none.
// What the model can mend is an answer with IsError, whose text says how.
func (u *User) CallTool(
	ctx context.Context, name string, arguments any, options *CallToolOptions,
) (*ToolAnswer, error) {
	if err := u.check(); err != nil {
		return nil, err
	}
	options = or(options)
	written, is := arguments.(string)
	if !is && arguments != nil {
		var err error
		if written, err = toJSON("arguments", arguments); err != nil {
			return nil, err
		}
	}
	request := &memsvcv1.CallToolRequest{
		Scope:         u.scope(),
		Name:          name,
		ArgumentsJson: written,
		CallId:        options.CallID,
		AgentId:       u.agent,
		TeamId:        u.team,
		SessionId:     options.SessionID,
		RunId:         options.RunID,
		SharedUserIds: options.SharedUserIDs,
		Settings:      options.Settings,
	}
	if name == slowTool {
		request.Wait = durationpb.New(slowToolWait)
		if options.Wait > 0 {
			request.Wait = durationpb.New(options.Wait)
		}
	}
	return u.client.rpc.tools.CallTool(ctx, request)
}

// RunToolCalls carries out the calls of memory's tools in a model's message, one after the other, and returns the messages
// that answer them, in the form of the same provider, to be put behind it. Calls of other tools are left to the agent.
//
// The message is OpenAI's or Anthropic's, or the output of OpenAI's Responses: an object of their libraries, a map, or JSON
// as json.RawMessage.
func (u *User) RunToolCalls(ctx context.Context, message any, options *CallToolOptions) ([]map[string]any, error) {
	form, calls, err := callsIn(message)
	if err != nil {
		return nil, err
	}
	var answered []answeredCall
	for _, call := range calls {
		if !memoryTools[call.name] {
			continue
		}
		own := *or(options)
		own.CallID = call.id
		answer, err := u.CallTool(ctx, call.name, call.arguments, &own)
		if err != nil {
			return nil, err
		}
		answered = append(answered, answeredCall{call, answer})
	}
	return answersTo(form, answered), nil
}
