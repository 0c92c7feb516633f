package memsvc

import (
	"context"
	"fmt"
	"iter"

	"google.golang.org/grpc"

	memsvcv1 "github.com/memsvc/memsvc/clients/go/memsvc/v1"
)

// A Client is a connection to a server. It is safe for concurrent use; one is enough for a process.
type Client struct {
	// Config is what is configured of memory in the client's namespace.
	Config *Config

	connection *grpc.ClientConn
	settings   settings
	rpc        services
}

// services are the stubs of the API over one connection.
type services struct {
	memories    memsvcv1.MemoryServiceClient
	sessions    memsvcv1.SessionServiceClient
	extractions memsvcv1.ExtractionServiceClient
	contexts    memsvcv1.ContextServiceClient
	tools       memsvcv1.ToolServiceClient
	configs     memsvcv1.ConfigServiceClient
	admin       memsvcv1.AdminServiceClient
}

// New returns a client of the server at target: "unix:///run/memsvc/memsvc.sock", "host:port", or "tls://host:port" where
// it speaks TLS. It sends nothing yet. What is not given, the environment may say: MEMSVC_TOKEN, MEMSVC_CA_FILE,
// MEMSVC_CLIENT_CERTIFICATE_FILE, MEMSVC_CLIENT_KEY_FILE.
func New(target string, options ...Option) (*Client, error) {
	chosen := defaults()
	for _, option := range options {
		option(&chosen)
	}
	if err := chosen.check(); err != nil {
		return nil, err
	}
	address, useTLS, err := checkedTarget(target)
	if err != nil {
		return nil, err
	}
	dialOptions, err := chosen.dialOptions(address, useTLS)
	if err != nil {
		return nil, err
	}
	connection, err := grpc.NewClient(address, dialOptions...)
	if err != nil {
		return nil, &ArgumentError{Argument: "target", Message: err.Error()}
	}
	client := &Client{connection: connection, settings: chosen, rpc: services{
		memories:    memsvcv1.NewMemoryServiceClient(connection),
		sessions:    memsvcv1.NewSessionServiceClient(connection),
		extractions: memsvcv1.NewExtractionServiceClient(connection),
		contexts:    memsvcv1.NewContextServiceClient(connection),
		tools:       memsvcv1.NewToolServiceClient(connection),
		configs:     memsvcv1.NewConfigServiceClient(connection),
		admin:       memsvcv1.NewAdminServiceClient(connection),
	}}
	client.Config = &Config{client}
	return client, nil
}

// Close closes the connection. Calls and streams that are on their way fail, as later ones do: ReasonClientClosed.
func (c *Client) Close() error {
	c.settings.closed.Store(true)
	return c.connection.Close()
}

// Connection returns the connection itself, for the generated clients of package memsvcv1: calls over it have the client's
// token, deadlines, request ids and retries; their errors are *Error, but for those of streams.
func (c *Client) Connection() grpc.ClientConnInterface {
	return c.connection
}

// ServerInfo asks the server what it is and offers. It needs no right.
func (c *Client) ServerInfo(ctx context.Context) (*ServerInfo, error) {
	return c.rpc.admin.GetServerInfo(ctx, &memsvcv1.GetServerInfoRequest{})
}

// Users lists the ids of all users of the client's namespace.
func (c *Client) Users(ctx context.Context) iter.Seq2[string, error] {
	request := &memsvcv1.ListUsersRequest{Namespace: c.settings.namespace}
	return pages(ctx, nil, request, c.rpc.admin.ListUsers, (*memsvcv1.ListUsersResponse).GetUserIds)
}

// A User is one user's memory: a handle, which sends nothing by itself.
type User struct {
	// ID is the user's id.
	ID string
	// Memories are the user's memories, one by one.
	Memories *Memories
	// Extractions are the jobs that learn for the user.
	Extractions *Extractions

	client *Client
	agent  string
	team   string
}

// A UserOption says on whose behalf a user's memory is used.
type UserOption func(*User)

// Agent names the agent that is talking: the origin of what it writes, and whose configuration is heard.
func Agent(agentID string) UserOption {
	return func(user *User) { user.agent = agentID }
}

// Team names the team of agents that the agent belongs to.
func Team(teamID string) UserOption {
	return func(user *User) { user.team = teamID }
}

// User returns the handle of one user, a team or an organisation too ("team:support"). Calls for a user without an id fail
// with an ArgumentError.
func (c *Client) User(id string, options ...UserOption) *User {
	user := &User{ID: id, client: c}
	for _, option := range options {
		option(user)
	}
	user.Memories = &Memories{user}
	user.Extractions = &Extractions{user}
	return user
}

// String names the user.
func (u *User) String() string {
	return fmt.Sprintf("memsvc.User(%q)", u.ID)
}

func (u *User) scope() *memsvcv1.Scope {
	return &memsvcv1.Scope{Namespace: u.client.settings.namespace, UserId: u.ID}
}

// check refuses a user without an id: the server has no default user either.
func (u *User) check() error {
	if u.ID == "" {
		return wrong("user id", "must not be empty: whose memory is meant?")
	}
	return nil
}
