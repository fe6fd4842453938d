-- 0002_records: what syncs fetch, and what may be claimed from it.
--
-- Every key begins with the user, then the connection, then the natural key
-- of the source.  first_sync_id never changes; last_sync_id is the last sync
-- that changed the content.

CREATE TABLE syncline.orders (
	user_id text COLLATE "C" NOT NULL,
	connection_id text COLLATE "C" NOT NULL,
	order_id text COLLATE "C" NOT NULL,
	marketplace_id text,
	sales_channel text,
	status text,
	fulfilled_by text,
	created_time timestamptz,
	last_updated_time timestamptz NOT NULL,
	total numeric,
	currency text,
	item_count integer,
	first_sync_id text COLLATE "C" NOT NULL,
	last_sync_id text COLLATE "C" NOT NULL,
	PRIMARY KEY (user_id, connection_id, order_id)
);

CREATE TABLE syncline.order_items (
	user_id text COLLATE "C" NOT NULL,
	connection_id text COLLATE "C" NOT NULL,
	order_id text COLLATE "C" NOT NULL,
	order_item_id text COLLATE "C" NOT NULL,
	asin text,
	sku text,
	title text,
	quantity bigint,
	quantity_fulfilled bigint,
	quantity_unfulfilled bigint,
	unit_price numeric,
	currency text,
	proceeds_total numeric,
	first_sync_id text COLLATE "C" NOT NULL,
	last_sync_id text COLLATE "C" NOT NULL,
	PRIMARY KEY (user_id, connection_id, order_id, order_item_id)
);

CREATE TABLE syncline.inventory (
	user_id text COLLATE "C" NOT NULL,
	connection_id text COLLATE "C" NOT NULL,
	marketplace_id text COLLATE "C" NOT NULL,
	sku text COLLATE "C" NOT NULL,
	fnsku text COLLATE "C" NOT NULL,
	condition text COLLATE "C" NOT NULL,
	asin text,
	product_name text,
	total_quantity bigint,
	fulfillable_quantity bigint,
	inbound_working_quantity bigint,
	inbound_shipped_quantity bigint,
	inbound_receiving_quantity bigint,
	reserved_quantity bigint,
	researching_quantity bigint,
	unfulfillable_quantity bigint,
	last_updated_time timestamptz,
	first_sync_id text COLLATE "C" NOT NULL,
	last_sync_id text COLLATE "C" NOT NULL,
	PRIMARY KEY (user_id, connection_id, marketplace_id, sku, fnsku,
	    condition)
);

CREATE TABLE syncline.transactions (
	user_id text COLLATE "C" NOT NULL,
	connection_id text COLLATE "C" NOT NULL,
	transaction_id text COLLATE "C" NOT NULL,
	transaction_type text,
	status text,
	description text,
	posted_date timestamptz,
	amount numeric,
	currency text,
	marketplace_id text,
	order_id text COLLATE "C",
	shipment_id text,
	event_group_id text,
	related jsonb,
	breakdowns jsonb,
	items jsonb,
	contexts jsonb,
	first_sync_id text COLLATE "C" NOT NULL,
	last_sync_id text COLLATE "C" NOT NULL,
	PRIMARY KEY (user_id, connection_id, transaction_id)
);

CREATE TABLE syncline.claims (
	user_id text COLLATE "C" NOT NULL,
	claim_id text COLLATE "C" NOT NULL, -- the stable natural key
	connection_id text COLLATE "C" NOT NULL,
	type text NOT NULL,
	severity text NOT NULL DEFAULT 'medium' CHECK (severity IN
		('low', 'medium', 'high', 'critical')),
	status text NOT NULL DEFAULT 'open' CHECK (status IN
		('open', 'filed', 'paid', 'denied', 'dismissed', 'resolved')),
	estimated_value numeric NOT NULL DEFAULT 0,
	currency text NOT NULL DEFAULT 'USD',
	confidence numeric CHECK (confidence BETWEEN 0 AND 1),
	evidence jsonb NOT NULL DEFAULT '{}',
	discovered_at timestamptz NOT NULL DEFAULT clock_timestamp(),
	deadline_at timestamptz,
	first_sync_id text COLLATE "C", -- the sync that found it; NULL: import
	PRIMARY KEY (user_id, claim_id)
);
CREATE INDEX claims_sync ON syncline.claims (user_id, first_sync_id);

-- Rows of one sync lie together, so a block-range index finds them again for
-- a fraction of what a tree would cost each insert.
CREATE INDEX orders_first_sync ON syncline.orders
	USING brin (first_sync_id) WITH (pages_per_range = 32, autosummarize);
CREATE INDEX order_items_first_sync ON syncline.order_items
	USING brin (first_sync_id) WITH (pages_per_range = 32, autosummarize);
CREATE INDEX inventory_first_sync ON syncline.inventory
	USING brin (first_sync_id) WITH (pages_per_range = 32, autosummarize);
CREATE INDEX transactions_first_sync ON syncline.transactions
	USING brin (first_sync_id) WITH (pages_per_range = 32, autosummarize);
