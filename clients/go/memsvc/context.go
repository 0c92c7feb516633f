package memsvc

import (
	"context"
	"errors"
	"time"

	"google.golang.org/protobuf/proto"

	memsvcv1 "github.com/memsvc/memsvc/clients/go/memsvc/v1"
)

// A CompiledContext is what is known of a user, as text for a system prompt.
type CompiledContext struct {
	*memsvcv1.CompileContextResponse

	// Failure is why memory did not answer, where the context is empty for that (OrEmpty); else nil.
	Failure *Error
}

// String is the text.
func (c *CompiledContext) String() string {
	if c == nil {
		return ""
	}
	return c.GetText()
}

// ContextOptions are those of User.Context.
type ContextOptions struct {
	// Layers are all by default.
	Layers []Layer
	Filter *Filter
	// SharedUserIDs are other users, a team for instance, whose memories come too.
	SharedUserIDs []string
	// History brings along the last messages of a session.
	History *ContextHistory
	// Format is XML by default.
	Format ContextFormat
	// BareBlocks leaves out the wrapper around the layers' blocks.
	BareBlocks bool
	// MaxCharacters, or MaxTokens, is how long the text may be: 8,000 characters by default.
	MaxCharacters int32
	MaxTokens     int32
	// Recall brings along what was said about the query in past conversations; nil: where no model learns.
	Recall *bool
	// Etag is that of the text that the caller holds: Unchanged is answered where it still holds.
	Etag string
	// Wait is how long to wait until what is pending is learned; 0: not at all.
	Wait time.Duration
	// OrEmpty answers an empty context where the service is down; nil: as the client says (WithContextOrEmpty).
	OrEmpty *bool
	// Settings overrule what is configured.
	Settings    *Settings
	Consistency *Consistency
}

// Context compiles what is known of the user. The query is what the user just said: under a budget the memories nearest to
// it stay. A user waits for it, so it ends after 3 seconds (WithContextTimeout).
func (u *User) Context(ctx context.Context, query string, options *ContextOptions) (*CompiledContext, error) {
	if err := u.check(); err != nil {
		return nil, err
	}
	options = or(options)
	if options.MaxCharacters != 0 && options.MaxTokens != 0 {
		return nil, wrong("options", "a budget is MaxCharacters or MaxTokens, not both")
	}
	request := &memsvcv1.CompileContextRequest{
		Scope:           u.scope(),
		Layers:          options.Layers,
		Query:           query,
		Filter:          options.Filter,
		SharedUserIds:   options.SharedUserIDs,
		History:         options.History,
		Format:          options.Format,
		Wrapper:         proto.Bool(!options.BareBlocks),
		Recall:          options.Recall,
		Etag:            options.Etag,
		WaitForLearning: wait(options.Wait),
		Consistency:     options.Consistency,
		Settings:        options.Settings,
		AgentId:         u.agent,
	}
	if options.MaxCharacters != 0 {
		request.Budget = &memsvcv1.ContextBudget{Limit: &memsvcv1.ContextBudget_MaxCharacters{MaxCharacters: options.MaxCharacters}}
	}
	if options.MaxTokens != 0 {
		request.Budget = &memsvcv1.ContextBudget{Limit: &memsvcv1.ContextBudget_MaxTokens{MaxTokens: options.MaxTokens}}
	}
	reply, err := u.client.rpc.contexts.CompileContext(ctx, request)
	orEmpty := u.client.settings.contextOrEmpty
	if options.OrEmpty != nil {
		orEmpty = *options.OrEmpty
	}
	var failure *Error
	if orEmpty && errors.As(err, &failure) && failure.ServiceDown() {
		return &CompiledContext{&memsvcv1.CompileContextResponse{}, failure}, nil
	}
	if err != nil {
		return nil, err
	}
	return &CompiledContext{reply, nil}, nil
}
