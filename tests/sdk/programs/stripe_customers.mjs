import Stripe from 'stripe';

const stripe = new Stripe(process.env.STRIPE_SECRET_KEY);
const emails = [];
for await (const customer of stripe.customers.list({ limit: 2 })) emails.push(customer.email);
console.log(emails);
const customer = await stripe.customers.create({ email: 'ada@example.com', metadata: { plan: 'pro' } });
console.log(customer.id, customer.email);
const data = Buffer.from('%PDF-1.4 a receipt'.repeat(2000));
const file = await stripe.files.create({ purpose: 'dispute_evidence', file: { data, name: 'receipt.pdf', type: 'application/pdf' } });
console.log(file.id);
