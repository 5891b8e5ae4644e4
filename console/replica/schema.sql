-- The record of sevdeck on PostgreSQL 12 or newer: rows that are only ever added, one for each entry.
-- `sevdeck replica init` runs this as one transaction, any number of times.

create schema if not exists sevdeck;

create table if not exists sevdeck.events (
    writer_id   text        not null check (writer_id ~ '^[0-9a-f]{32}$'),
    seq         bigint      not null check (seq > 0),
    incident    text        not null check (incident ~ '^INC-[0-9]{4}-[0-9]{4,}/[0-9a-f]{32}$'),
    hash        text        not null,
    previous    text        not null,
    body        text        not null check (octet_length(body) <= 65536),  -- the exact bytes that are hashed
    doc         jsonb       generated always as (body::jsonb) stored,      -- for queries only: jsonb rewrites what it keeps
    received_at timestamptz not null default clock_timestamp(),
    primary key (writer_id, seq)
);
create index if not exists events_by_incident on sevdeck.events (incident, writer_id);

-- What entries name by its hash: playbooks as they were started, attachments, flight recordings.
create table if not exists sevdeck.attachments (
    sha256      text        primary key,
    content     bytea       not null check (octet_length(content) <= 20971520),
    received_at timestamptz not null default clock_timestamp(),
    check (sha256 = encode(sha256(content), 'hex'))
);

create or replace function sevdeck.schema_version() returns integer language sql immutable as 'select 2';

-- An entry goes on from the last one of its writer, or it does not go in. The same entry again is no error.
create or replace function sevdeck.check_event() returns trigger language plpgsql as $$
declare
    stored text;
    last   record;
    said   jsonb;
begin
    select e.hash into stored from sevdeck.events e where e.writer_id = new.writer_id and e.seq = new.seq;
    if found then
        if stored = new.hash then
            return null;
        end if;
        raise exception 'the server has % there', left(stored, 16) using errcode = 'SD001', detail = new.seq::text;
    end if;
    select e.seq, e.hash, e.incident into last from sevdeck.events e
        where e.writer_id = new.writer_id order by e.seq desc limit 1;
    if new.seq <> coalesce(last.seq, 0) + 1 then
        raise exception 'the server has % entries', coalesce(last.seq, 0) using errcode = 'SD002', detail = new.seq::text;
    end if;
    if new.previous <> coalesce(last.hash, repeat('0', 64)) then
        raise exception 'the server has % there', left(last.hash, 16)
            using errcode = 'SD001', detail = (new.seq - 1)::text;
    end if;
    if new.hash <> encode(sha256(convert_to(new.previous || e'\n' || new.body, 'UTF8')), 'hex') then
        raise exception 'its hash does not match' using errcode = 'SD003', detail = new.seq::text;
    end if;
    said := new.body::jsonb;
    if said ->> 'w' is distinct from new.writer_id or said ->> 's' is distinct from new.seq::text
        or coalesce(last.incident, new.incident) <> new.incident then
        raise exception 'it belongs elsewhere' using errcode = 'SD003', detail = new.seq::text;
    end if;
    new.received_at := clock_timestamp();
    return new;
end $$;

create or replace function sevdeck.tell() returns trigger language plpgsql as $$
begin
    perform pg_notify('sevdeck', fresh.incident) from (select distinct incident from added) fresh;
    return null;
end $$;

create or replace function sevdeck.refuse() returns trigger language plpgsql as $$
begin
    raise exception 'the record only grows: % is refused', tg_op using errcode = 'SD004';
end $$;

drop trigger if exists events_check on sevdeck.events;
create trigger events_check before insert on sevdeck.events for each row execute function sevdeck.check_event();
drop trigger if exists events_tell on sevdeck.events;
create trigger events_tell after insert on sevdeck.events
    referencing new table as added for each statement execute function sevdeck.tell();
drop trigger if exists events_keep on sevdeck.events;
create trigger events_keep before update or delete on sevdeck.events
    for each row execute function sevdeck.refuse();
drop trigger if exists events_keep_all on sevdeck.events;
create trigger events_keep_all before truncate on sevdeck.events
    for each statement execute function sevdeck.refuse();

drop trigger if exists attachments_keep on sevdeck.attachments;
create trigger attachments_keep before update or delete on sevdeck.attachments
    for each row execute function sevdeck.refuse();
drop trigger if exists attachments_keep_all on sevdeck.attachments;
create trigger attachments_keep_all before truncate on sevdeck.attachments
    for each statement execute function sevdeck.refuse();

-- Also where session_replication_role says that triggers need not fire.
alter table sevdeck.events enable always trigger events_check;
alter table sevdeck.events enable always trigger events_keep;
alter table sevdeck.events enable always trigger events_keep_all;

alter table sevdeck.attachments enable always trigger attachments_keep;
alter table sevdeck.attachments enable always trigger attachments_keep_all;

revoke all on sevdeck.events, sevdeck.attachments from public;
