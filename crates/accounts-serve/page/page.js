'use strict';
// Fetches the same part that the page was served with, and copies commands.
const view = document.getElementById('view');
const live = document.getElementById('live');
let shown = null;

async function look() {
  try {
    const answer = await fetch('view', { cache: 'no-store', signal: AbortSignal.timeout(10000) });
    if (!answer.ok) throw new Error(`HTTP ${answer.status}`);
    const text = await answer.text();
    // Only what is new is drawn: a selection or a button's focus stays while nothing happens.
    if (text !== shown) {
      view.innerHTML = text;
      shown = text;
    }
    live.textContent = `live · ${new Date().toLocaleTimeString()}`;
    live.className = '';
  } catch (error) {
    live.textContent = 'not live: the page is not reached';
    live.className = 'bad';
  }
  setTimeout(look, 3000);
}

// Browsers give the clipboard to https and localhost only; elsewhere a selection can be copied.
async function copy(text, beside) {
  try {
    await navigator.clipboard.writeText(text);
  } catch (error) {
    getSelection().selectAllChildren(beside);
    document.execCommand('copy');
  }
}

document.addEventListener('click', async (event) => {
  const button = event.target.closest('button[data-copy]');
  if (!button) return;
  await copy(button.dataset.copy, button.previousElementSibling);
  button.textContent = 'Copied';
  setTimeout(() => { button.textContent = 'Copy'; }, 1500);
});

document.documentElement.classList.add('js');
look();
