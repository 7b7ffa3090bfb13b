// What JavaScript adds to the links and forms of the console: live rows, a slider, keyboard shortcuts.
// Untrusted text is only ever assigned to textContent.
'use strict';
const $ = (selector, from = document) => from.querySelector(selector);
const root = document.documentElement;
root.classList.add('on');
const still = (key) => { try { return localStorage.getItem(key); } catch { return null; } };
const keep = (key, value) => { try { localStorage.setItem(key, value); } catch { /* a private window */ } };

// Live rows.
function tail(table) {
	const url = new URL(table.dataset.tail, location.href);
	const body = table.tBodies[0], state = $('#live'), more = $('#more'), button = $('#pause');
	let source, last = Number(url.searchParams.get('from')) - 1, came = 0, paused = false, again;
	const say = (text, off) => { state.textContent = text; state.classList.toggle('off', off); };
	const cell = (name, text, href) => {
		const td = document.createElement('td');
		td.className = name;
		const in_ = href ? td.appendChild(document.createElement('a')) : td;
		in_.textContent = text;
		if (href) { in_.href = href; if (name === 's') in_.className = 'to'; }
		return td;
	};
	const row = (r) => {
		const tr = document.createElement('tr');
		tr.className = 'new';
		tr.append(cell('n pos', r.position.toLocaleString('en'), r.to_event), cell('t', r.when), cell('s', r.stream, r.to_stream),
			cell('n ver', r.version.toLocaleString('en')), cell('e', r.event), cell('w', r.who), cell('d', r.data));
		return tr;
	};
	const show = (message) => {
		const frame = JSON.parse(message.data);
		last = Number(message.lastEventId);
		if (frame.more) {
			came += frame.more;
			more.hidden = false;
			more.textContent = `${came.toLocaleString('en')} more came faster than a page can show. Reload to see them.`;
		}
		const rows = frame.rows.map(row).reverse();
		const top = scrollY > 200 ? root.scrollHeight : 0;
		body.prepend(...rows);
		while (body.rows.length > 200) body.lastElementChild.remove();
		if (top) scrollBy(0, root.scrollHeight - top); // keep the scroll position of the reader
		const empty = $('.empty');
		if (empty) empty.remove();
	};
	const open = () => {
		clearTimeout(again);
		if (source || paused || document.hidden) return;
		url.searchParams.set('from', last + 1);
		source = new EventSource(url);
		source.onopen = () => say('live', false);
		source.onmessage = show;
		source.onerror = () => {
			say('reconnecting', true);
			if (source && source.readyState === EventSource.CLOSED) { close(); again = setTimeout(open, 2000); }
		};
	};
	const close = () => { if (source) source.close(); source = null; };
	const pause = () => {
		paused = !paused;
		button.setAttribute('aria-pressed', paused);
		button.textContent = paused ? 'Go on' : 'Pause';
		if (paused) { close(); say('paused', true); } else open();
	};
	button.onclick = pause;
	document.addEventListener('visibilitychange', () => (document.hidden ? close() : open()));
	addEventListener('pagehide', close);
	addEventListener('pageshow', open);
	open();
	return pause;
}

// Time travel without a page load, if the browser can sanitize HTML.
let pending;
async function travel(href, push = true) {
	const main = $('#main');
	if (!main.setHTML) { location.href = href; return; }
	if (pending) pending.abort();
	pending = new AbortController();
	try {
		const answer = await fetch(href, { signal: pending.signal, headers: { Accept: 'text/html' } });
		if (!answer.ok || answer.redirected) { location.href = href; return; }
		const text = await answer.text();
		const from = text.indexOf('<main'), to = text.lastIndexOf('</main>');
		const focused = document.activeElement && (document.activeElement.id || document.activeElement.dataset.key);
		main.setHTML(text.slice(text.indexOf('>', from) + 1, to), { sanitizer: {} });
		if (push) history[history.state === 'travel' ? 'replaceState' : 'pushState']('travel', '', href);
		ready();
		const back = focused && (document.getElementById(focused) || $(`[data-key="${focused}"]`));
		if (back) back.focus({ preventScroll: true });
	} catch (e) {
		if (e.name !== 'AbortError') location.href = href;
	}
}
addEventListener('popstate', () => location.reload());

function ready() {
	const slider = $('#slider'), number = $('#v'), form = slider && slider.form;
	if (slider) {
		const go = (v) => travel('stream?' + new URLSearchParams([...new FormData(form)].map(([k, x]) => [k, k === 'v' ? v : x])));
		let wait;
		slider.oninput = () => { number.value = slider.value; clearTimeout(wait); wait = setTimeout(() => go(slider.value), 60); };
		form.onsubmit = (e) => { e.preventDefault(); go(number.value); };
	}
	const name = $('#name'), json = $('#json');
	if (name && json) name.onchange = () => { json.value = name.selectedOptions[0].dataset.json; };
	for (const button of document.querySelectorAll('[data-copy]')) {
		button.onclick = async () => {
			try { await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).textContent); button.textContent = 'Copied'; } catch { button.textContent = 'Select it, and copy'; }
		};
	}
	const job = $('[data-reload]');
	if (job) setTimeout(() => travel(job.dataset.reload, false), 1000);
	const tenant = $('#tenant');
	if (tenant) tenant.onchange = () => tenant.form.submit();
}
document.addEventListener('click', (e) => {
	const link = e.target.closest && e.target.closest('.steps a, .timeline a');
	if (!link || e.metaKey || e.ctrlKey || e.shiftKey || e.button) return;
	e.preventDefault();
	travel(link.href);
});

ready();
const pause = $('#events') && tail($('#events'));

// Keyboard shortcuts, which never work in fields, and can be switched off.
const dialog = $('#keys'), off = $('#nokeys');
off.checked = still('console-keys') === 'off';
off.onchange = () => keep('console-keys', off.checked ? 'off' : 'on');
function move(by) {
	const rows = [...document.querySelectorAll('tbody tr, .timeline li')].filter((r) => $('.to', r));
	const at = rows.findIndex((r) => r.classList.contains('sel'));
	const to = rows[Math.min(rows.length - 1, Math.max(0, at < 0 ? 0 : at + by))];
	if (!to) return;
	if (at >= 0) rows[at].classList.remove('sel');
	to.classList.add('sel');
	to.scrollIntoView({ block: 'nearest' });
}
const step = (key) => { const link = $(`[data-key="${key}"]`); if (link) travel(link.href); };
const keys = {
	'/': () => $('.find input').focus(), '?': () => dialog.showModal(), j: () => move(1), k: () => move(-1), b: () => history.back(),
	Enter: () => { const to = $('.sel .to'); if (to) to.click(); }, ArrowLeft: () => step('prev'), ArrowRight: () => step('next'), ' ': () => pause && pause(),
};
addEventListener('keydown', (e) => {
	const at = e.target;
	if (e.metaKey || e.ctrlKey || e.altKey || dialog.open || at.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(at.tagName)) return;
	if (off.checked && e.key !== '?') return;
	if ((e.key === 'Enter' || e.key === ' ') && at.closest('a, button, summary, pre')) return;
	if (!Object.hasOwn(keys, e.key) || (e.key === ' ' && !pause)) return;
	e.preventDefault();
	keys[e.key](e);
});
