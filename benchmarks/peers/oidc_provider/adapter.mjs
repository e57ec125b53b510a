// node-oidc-provider's storage on PostgreSQL: one key-value table, every commit durable, consuming exactly once.
import pg from 'pg'

export const pool = new pg.Pool({ connectionString: process.env.PEER_DATABASE_URL, max: 10 })

export async function createTable() {
  await pool.query(`CREATE TABLE IF NOT EXISTS peer_models (
    model text NOT NULL, id text NOT NULL, payload jsonb NOT NULL, grant_id text, uid text,
    expires_at timestamptz, consumed_at bigint, PRIMARY KEY (model, id))`)
  await pool.query('CREATE INDEX IF NOT EXISTS peer_models_grant ON peer_models (grant_id) WHERE grant_id IS NOT NULL')
}

export class PostgresAdapter {
  constructor(model) { this.model = model }

  async upsert(id, payload, expiresIn) {
    await pool.query({
      name: 'upsert',
      text: `INSERT INTO peer_models (model, id, payload, grant_id, uid, expires_at)
        VALUES ($1, $2, $3, $4, $5, now() + make_interval(secs => $6))
        ON CONFLICT (model, id) DO UPDATE SET payload = excluded.payload, expires_at = excluded.expires_at`,
      values: [this.model, id, payload, payload.grantId ?? null, payload.uid ?? null, expiresIn ?? 86400],
    })
  }

  async find(id) {
    const { rows } = await pool.query({
      name: 'find',
      text: 'SELECT payload, consumed_at FROM peer_models WHERE model = $1 AND id = $2 AND expires_at > now()',
      values: [this.model, id],
    })
    return read(rows[0])
  }

  async findByUid(uid) {
    const { rows } = await pool.query('SELECT payload, consumed_at FROM peer_models WHERE model = $1 AND uid = $2',
      [this.model, uid])
    return read(rows[0])
  }

  async findByUserCode() { return undefined }

  async consume(id) {
    const { rowCount } = await pool.query({
      name: 'consume',
      text: 'UPDATE peer_models SET consumed_at = extract(epoch FROM now()) WHERE model = $1 AND id = $2 AND consumed_at IS NULL',
      values: [this.model, id],
    })
    if (rowCount !== 1) throw new Error('consumed already')
  }

  async destroy(id) {
    await pool.query('DELETE FROM peer_models WHERE model = $1 AND id = $2', [this.model, id])
  }

  async revokeByGrantId(grantId) {
    await pool.query('DELETE FROM peer_models WHERE grant_id = $1', [grantId])
  }
}

function read(row) {
  if (row === undefined) return undefined
  return row.consumed_at === null ? row.payload : { ...row.payload, consumed: Number(row.consumed_at) }
}
