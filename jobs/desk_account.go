package jobs

import (
	"context"
)

// AccountListRequest asks for all accounts. It has no fields.
type AccountListRequest struct{}

// AccountListReply has the accounts in the order of jobs.yaml.
type AccountListReply struct {
	Accounts []AccountInfo `json:"accounts"`
}

// AccountInfo is an account's settings, without its password, and how it does.
type AccountInfo struct {
	AccountStatus
	Host        string   `json:"host"`
	Port        int      `json:"port"`
	Encryption  string   `json:"encryption"`
	Auth        string   `json:"auth"`
	Username    string   `json:"username,omitempty"`
	From        string   `json:"from"`
	Companies   []string `json:"companies"` // empty means all
	Connections int      `json:"connections"`
}

// AccountList tells of every account how it is set and how it does.
func (d *Desk) AccountList(ctx context.Context, _ AccountListRequest) (AccountListReply, error) {
	all := d.world.File.Accounts
	reply := AccountListReply{make([]AccountInfo, len(all))}
	each(len(all), func(i int) {
		ctx, cancel := context.WithTimeout(ctx, askTime)
		defer cancel()
		a := all[i]
		reply.Accounts[i] = AccountInfo{AccountStatus: d.accountStatus(ctx, a), Host: a.Host, Port: a.Port, Encryption: a.Encryption, Auth: a.Auth,
			Username: a.Username, From: a.From, Companies: append([]string{}, a.Companies...), Connections: a.Connections}
	})
	return reply, nil
}
