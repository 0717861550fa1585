package octavia

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"

	"github.com/go-sql-driver/mysql"
)

// deadlock is ER_LOCK_DEADLOCK: the database has rolled one of two transactions back, and says to try again.
const deadlock = 1213

// openDatabase opens Octavia's database, by the socket, which is a file and thus not in the cloud's namespace.
func openDatabase(socket string) (*sql.DB, error) {
	config := mysql.NewConfig()
	config.Net, config.Addr, config.DBName = "unix", socket, "octavia"
	config.User, config.Passwd = "lab", Password
	config.Logger = &mysql.NopLogger{} // each call returns its error
	connector, err := mysql.NewConnector(config)
	if err != nil {
		return nil, fmt.Errorf("database: %w", err)
	}
	return sql.OpenDB(connector), nil
}

// Database is Octavia's own, for what takes more than a statement.
func (c *Cloud) Database() *sql.DB { return c.db }

// SQL runs a statement in Octavia's database and returns what it answers, a line a row, tabs between the columns. The
// no-op drivers never report a status of their own, so this is how an operating_status or a broken load balancer comes
// about:
//
//	update member set operating_status='ERROR' where ip_address='192.0.2.11'
//
// A statement that the database gives up for another one, in a deadlock, is made again.
func (c *Cloud) SQL(ctx context.Context, statement string) (string, error) {
	for tries := 1; ; tries++ {
		out, err := c.query(ctx, statement)
		var told *mysql.MySQLError
		if err == nil || tries == 10 || !errors.As(err, &told) || told.Number != deadlock {
			return out, err
		}
	}
}

func (c *Cloud) query(ctx context.Context, statement string) (string, error) {
	rows, err := c.db.QueryContext(ctx, statement)
	if err != nil {
		return "", fmt.Errorf("sql: %w", err)
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		return "", fmt.Errorf("sql: %w", err)
	}
	cells, at := make([]sql.NullString, len(columns)), make([]any, len(columns))
	for i := range cells {
		at[i] = &cells[i]
	}
	var out strings.Builder
	for rows.Next() {
		if err := rows.Scan(at...); err != nil {
			return "", fmt.Errorf("sql: %w", err)
		}
		for i, cell := range cells {
			if i > 0 {
				out.WriteByte('\t')
			}
			if !cell.Valid {
				cell.String = "NULL"
			}
			out.WriteString(cell.String)
		}
		out.WriteByte('\n')
	}
	if err := rows.Err(); err != nil {
		return "", fmt.Errorf("sql: %w", err)
	}
	return out.String(), nil
}

// isVIP reports whether the port is that of a load balancer that is there.
func (c *Cloud) isVIP(port string) bool {
	row := c.db.QueryRow("select count(*) from vip v join load_balancer l on v.load_balancer_id=l.id where v.port_id=? "+
		"and l.provisioning_status<>'DELETED'", port)
	var n int
	return row.Scan(&n) == nil && n > 0
}
