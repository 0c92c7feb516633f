package memsvc

import (
	"context"

	"google.golang.org/protobuf/types/known/fieldmaskpb"

	memsvcv1 "github.com/memsvc/memsvc/clients/go/memsvc/v1"
)

// Config is what is configured of memory in a namespace, and of agents in it.
type Config struct {
	client *Client
}

// Configured is a configuration, and what is in force with it: of the agent, the namespace and the server.
type Configured struct {
	Config  *MemoryConfig
	InForce *Settings
}

// GetConfigOptions are those of Config.Get.
type GetConfigOptions struct {
	// AgentID is of which agent; empty: the namespace's own.
	AgentID     string
	Consistency *Consistency
}

// Get gets the configuration of the client's namespace, or of an agent in it.
func (c *Config) Get(ctx context.Context, options *GetConfigOptions) (*Configured, error) {
	options = or(options)
	reply, err := c.client.rpc.configs.GetMemoryConfig(ctx, &memsvcv1.GetMemoryConfigRequest{
		Namespace: c.client.settings.namespace, AgentId: options.AgentID, Consistency: options.Consistency,
	})
	if err != nil {
		return nil, err
	}
	return &Configured{reply.GetConfig(), reply.GetInForce()}, nil
}

// UpdateConfigOptions are those of Config.Update.
type UpdateConfigOptions struct {
	// AgentID is of which agent; empty: the namespace's own.
	AgentID string
	// Etag guards the update: it fails where the configuration has another one now.
	Etag string
	// ValidateOnly only answers what would be.
	ValidateOnly bool
	// RequestID is a UUID, made by the client by default. The same one happens once.
	RequestID string
}

// Update sets what paths names ("mode", "profile.schema_json") to what settings have; what is named and not set is cleared,
// and the next level is heard again. It holds from the next call on.
func (c *Config) Update(
	ctx context.Context, settings *Settings, paths []string, options *UpdateConfigOptions,
) (*Configured, error) {
	if len(paths) == 0 {
		return nil, wrong("paths", "nothing is named to be set")
	}
	options = or(options)
	reply, err := c.client.rpc.configs.UpdateMemoryConfig(ctx, &memsvcv1.UpdateMemoryConfigRequest{
		Namespace:    c.client.settings.namespace,
		AgentId:      options.AgentID,
		Settings:     settings,
		UpdateMask:   &fieldmaskpb.FieldMask{Paths: paths},
		Etag:         options.Etag,
		ValidateOnly: options.ValidateOnly,
		RequestId:    options.RequestID,
	})
	if err != nil {
		return nil, err
	}
	return &Configured{reply.GetConfig(), reply.GetInForce()}, nil
}
